# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two machines that systemd runs, fw1 and fw2, on four wires, with a server outside and two clients
# inside; the network of docs/operating.md. All of it goes with `end`.

package Pair;

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use POSIX ();
use Time::HiRes qw(sleep time);

my $here = abs_path(dirname(__FILE__));

# The hosts that are network namespaces only: device, address, gateway.
my %HOSTS = (
    server => ['outside', '203.0.113.100/24', undef],
    client => ['inside',  '192.168.1.100/24', '192.168.1.1'],
    west   => ['inside',  '192.168.1.200/24', '192.168.1.129'],
);
my %WIRES = (eth0 => 'outside', eth1 => 'inside', eth2 => 'sync', eth3 => 'second');

# start(PACKAGE, SAME): SAME gives both firewalls the same addresses.
sub start {
    my ($class, $package, $same) = @_;
    my $scratch = tempdir('/tmp/ct_sync-docs-XXXXXX');
    my $self = bless {
        scratch => $scratch, run => ($scratch =~ /([^-]+)$/)[0], owner => $$,
        processes => [], machines => {}, starters => [], spaces => [], groups => [],
        package => $package, same => $same, boots => 0,
    }, $class;
    $self->wires;
    $self->boot(qw(fw1 fw2));
    return $self;
}

# Starts machines, with disks of their own: what one was told before is gone.
sub boot {
    my ($self, @names) = @_;
    # The wires of one that was killed go a moment later.
    my $switch = $self->space('switch');
    for my $name (@names) {
        $self->within(20, sub { system("ip -n $switch link show $name-eth3 > /dev/null 2>&1") != 0 })
            or die "$name is still there\n";
    }
    $self->machine($_) for @names;
    for my $name (@names) {
        $self->within(20, sub { $self->find($name) }) or die "$name does not start\n" . $self->console;
        $self->plug_in($name);
    }
    for my $name (@names) {
        $self->within(
            30,
            sub { $self->on($name, 'systemctl is-active --quiet test.target 2> /dev/null') == 0 })
            or die "systemd does not start on $name\n" . $self->console;
    }
}

# Obeys a fence agent: a machine's file /run/fence names the one that is to be killed, and /run/fenced the one that
# was.
sub fence {
    my ($self) = @_;
    my $child = fork;
    die unless defined $child;
    if ($child == 0) {
        while (1) {
            sleep 0.1;
            for my $root (map { "/proc/$_/root" } values %{ $self->{machines} }) {
                open my $file, '<', "$root/run/fence" or next;
                chomp(my $victim = <$file> // '');
                my $machine = delete $self->{machines}{$victim} or next;
                kill 'KILL', $machine;
                $self->within(20, sub { !-e "/proc/$machine/ns/net" });
                unlink "$root/run/fence";
                open my $out, '>', "$root/run/fenced" or next;
                print $out "$victim\n";
            }
        }
    }
    push @{ $self->{processes} }, $child;
}

sub space { "ct_sync-docs-$_[0]{run}-$_[1]" }

sub must {
    my @words = @_;
    system(@words) == 0 or die "@words: exit status " . ($? >> 8) . "\n";
}

# A namespace for the switch, one for each host.
sub wires {
    my ($self) = @_;
    for my $host ('switch', sort keys %HOSTS) {
        my $space = $self->space($host);
        must(qw(ip netns add), $space);
        push @{ $self->{spaces} }, $space;
        must('ip', '-n', $space, qw(link set lo up));
    }
    my $switch = $self->space('switch');
    for my $wire (values %WIRES) {
        must('ip', '-n', $switch, qw(link add), $wire, qw(type bridge mcast_snooping 0));
        must('ip', '-n', $switch, qw(link set), $wire, 'up');
    }
    for my $host (sort keys %HOSTS) {
        my ($wire, $address, $gateway) = @{ $HOSTS{$host} };
        my $space = $self->space($host);
        $self->wire($host, $space, 'eth0', $wire);
        must('ip', '-n', $space, qw(addr add), $address, qw(dev eth0));
        must('ip', '-n', $space, qw(link set eth0 up));
        must('ip', '-n', $space, qw(route add default via), $gateway) if defined $gateway;
    }
}

# The other end on the switch is called HOST-DEVICE.
sub wire {
    my ($self, $host, $place, $device, $wire) = @_;
    my $switch = $self->space('switch');
    must(
        qw(ip link add), $device, 'netns', $place, qw(type veth peer name), "$host-$device", 'netns',
        $switch);
    must('ip', '-n', $switch, qw(link set), "$host-$device", 'master', $wire);
    must('ip', '-n', $switch, qw(link set), "$host-$device", 'up');
}

# Starts a machine; it waits for its devices.
sub machine {
    my ($self, $name) = @_;
    my $number = ++$self->{boots};
    my $scratch = $self->{places}{$name} = "$self->{scratch}/$name-$number";
    mkdir $scratch or die;
    my $group = "ct_sync-docs-$self->{run}-$name-$number";
    open my $mounts, '<', '/proc/mounts' or die;
    open my $list, '>', "$scratch/hierarchies" or die;
    my @places;
    while (defined(local $_ = <$mounts>)) {
        my (undef, $place, $kind, $options) = split;
        next
            unless $kind eq 'cgroup2'
            || ($kind eq 'cgroup' && $options =~ /name=systemd|devices|memory|pids/);
        print $list "$kind $place $options\n";
        push @places, $place;
    }
    close $list;
    push @{ $self->{groups} }, map { "$_/$group" } @places;
    my $child = fork;
    die unless defined $child;
    if ($child == 0) {
        for my $place (@places) {
            mkdir "$place/$group" or POSIX::_exit(1);
            open my $file, '>', "$place/$group/cgroup.procs" or POSIX::_exit(1);
            print $file $$;
            close $file or POSIX::_exit(1);
        }
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$scratch/console";
        open STDERR, '>&', \*STDOUT;
        exec(
            qw(unshare --pid --fork --kill-child=KILL --mount --net --uts --ipc --cgroup sh),
            "$here/machine", $scratch, $self->{package}, $name) or POSIX::_exit(1);
    }
    push @{ $self->{starters} }, $child;
    $self->{starter}{$name} = $child;
}

# A machine's process 1, as seen here; nothing if it has ended.
sub process {
    my ($self, $name) = @_;
    my $starter = $self->{starter}{$name};
    open my $file, '<', "/proc/$starter/task/$starter/children" or return;
    return (<$file> // '') =~ /(\d+)/;
}

# Finds it, once it has namespaces of its own.
sub find {
    my ($self, $name) = @_;
    my ($child) = $self->process($name) or return 0;
    my $own = readlink '/proc/self/ns/net';
    my $its = readlink "/proc/$child/ns/net" or return 0;
    return 0 if $own eq $its;
    $self->{machines}{$name} = $child;
    return 1;
}

sub plug_in {
    my ($self, $name) = @_;
    my $process = $self->{machines}{$name};
    my ($number) = $name =~ /(\d)$/;
    my @enter = ('nsenter', "--net=/proc/$process/ns/net", 'ip');
    for my $device (sort keys %WIRES) { $self->wire($name, $process, $device, $WIRES{$device}) }
    my $last = $self->{same} ? 1 : 10 + $number;
    must(@enter, qw(addr add), "203.0.113.$last/24", qw(dev eth0));
    must(@enter, qw(addr add), "192.168.1.$last/24", qw(dev eth1));
    must(@enter, qw(link set), $_, 'up') for sort keys %WIRES;
}

sub console {
    my ($self) = @_;
    my $text = '';
    for my $name (qw(fw1 fw2)) {
        open my $file, '<', "$self->{places}{$name}/console" or next;
        local $/;
        $text .= "$name: " . (<$file> // '') . "\n";
    }
    return $text;
}

# Waits until a condition holds; 0 if it did not in so many seconds.
sub within {
    my ($self, $seconds, $condition) = @_;
    my $deadline = time + $seconds;
    until ($condition->()) {
        return 0 if time > $deadline;
        sleep 0.1;
    }
    return 1;
}

# The words that run a shell command on a host.
sub words {
    my ($self, $host, $command) = @_;
    my $machine = $self->{machines}{$host};
    return (
        'nsenter', '--target', $machine, qw(--all --root),
        qw(env --ignore-environment --chdir=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root),
        qw(DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 SYSTEMD_PAGER= timeout 300 sh -c), $command)
        if $machine;
    return (qw(ip netns exec), $self->space($host), 'sh', '-c', $command);
}

# Runs it; returns its exit status.
sub on {
    my ($self, $host, $command) = @_;
    system($self->words($host, $command));
    return $? >> 8;
}

# Runs it; returns its exit status and all that it printed. A file takes that: what the command leaves running
# in the background would hold a pipe open.
sub output {
    my ($self, $host, $command) = @_;
    open my $file, '+>', undef or die "no temporary file: $!\n";
    my $child = fork;
    die unless defined $child;
    if ($child == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>&', $file;
        open STDERR, '>&', \*STDOUT;
        exec $self->words($host, $command) or POSIX::_exit(127);
    }
    waitpid $child, 0;
    my $status = $? >> 8;
    seek $file, 0, 0;
    local $/;
    return ($status, <$file> // '');
}

sub write_file {
    my ($self, $host, $path, $text) = @_;
    open my $pipe, '|-', $self->words($host, "mkdir -p \"\$(dirname $path)\" && cat > $path") or die;
    print $pipe $text;
    close $pipe or die "$path cannot be written on $host\n";
}

# All cables of a firewall, out or in.
sub plug {
    my ($self, $name, $state) = @_;
    must('ip', '-n', $self->space('switch'), qw(link set), "$name-$_", $state) for sort keys %WIRES;
}

# Each client opens a connection to the server, in place of the one that it has.
sub connect_from {
    my ($self, @clients) = @_;
    $self->background('server', "$here/echo.pl server") unless $self->{has_server}++;
    for my $client (@clients) {
        my $file = "$self->{scratch}/rounds-$client";
        if (my $before = $self->{clients}{$client}) {
            kill 'KILL', $before;
            waitpid $before, 0;
            unlink $file;
            $self->{processes} = [grep { $_ != $before } @{ $self->{processes} }];
        }
        $self->{clients}{$client} = $self->background($client, "$here/echo.pl client $file");
    }
    return $self->go_on(20);
}

sub background {
    my ($self, $host, $words) = @_;
    my $child = fork;
    die unless defined $child;
    if ($child == 0) {
        open STDIN, '<', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec(qw(ip netns exec), $self->space($host), 'perl', split ' ', $words) or POSIX::_exit(1);
    }
    push @{ $self->{processes} }, $child;
    return $child;
}

# Whether lines go there and back on each connection, within so many seconds.
sub go_on {
    my ($self, $seconds) = @_;
    my %before = map { $_ => $self->rounds($_) } keys %{ $self->{clients} };
    return $self->within(
        $seconds,
        sub { !grep { $self->rounds($_) < $before{$_} + 3 } keys %before });
}

# Whether no line comes back on any connection for so many seconds.
sub are_lost {
    my ($self, $seconds) = @_;
    my %before = map { $_ => $self->rounds($_) } keys %{ $self->{clients} };
    return !$self->within($seconds, sub { grep { $self->rounds($_) != $before{$_} } keys %before });
}

sub rounds {
    my ($self, $client) = @_;
    open my $file, '<', "$self->{scratch}/rounds-$client" or return 0;
    return <$file> // 0;
}

sub end {
    my ($self) = @_;
    return if $self->{owner} != $$ || $self->{has_ended}++;
    my @children = (@{ $self->{processes} }, @{ $self->{starters} });
    kill 'KILL', @{ $self->{processes} }, map { $self->process($_) } keys %{ $self->{starter} };
    sleep 0.1;
    kill 'KILL', @{ $self->{starters} };
    waitpid $_, 0 for @children;
    for my $group (@{ $self->{groups} }) {
        # The last processes may still be ending.
        for (1 .. 100) {
            last unless -d $group;
            system("find '$group' -depth -type d -exec rmdir {} + 2> /dev/null");
            last unless -d $group;
            sleep 0.2;
        }
    }
    system("ip netns del $_ 2> /dev/null") for @{ $self->{spaces} };
    system('rm', '-rf', $self->{scratch});
}

sub DESTROY { $_[0]->end }

1;
