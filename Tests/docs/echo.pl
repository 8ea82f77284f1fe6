# SPDX-License-Identifier: GPL-2.0-or-later
#
# A TCP connection on which a line goes there and back, ten times a second, for as long as it lives.
#
#   perl Tests/docs/echo.pl server
#   perl Tests/docs/echo.pl client FILE       FILE has the number of the last line that came back

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my ($role, $file) = @ARGV;
if ($role eq 'server') {
    my $listener = IO::Socket::INET->new(Listen => 8, LocalPort => 7000, ReuseAddr => 1) or die;
    my $select = IO::Select->new($listener);
    while (1) {
        for my $one ($select->can_read) {
            if ($one == $listener) { $select->add($listener->accept); next }
            if (sysread $one, my $bytes, 4096) { syswrite $one, $bytes; next }
            $select->remove($one);
            close $one;
        }
    }
}
my $socket;
sleep 0.2
    until $socket = IO::Socket::INET->new(PeerAddr => '203.0.113.100:7000', Timeout => 2);
for (my $round = 1; ; $round++) {
    syswrite $socket, "$round\n" or die;
    my $line = '';
    while ($line !~ /\n/) { sysread $socket, $line, 64, length $line or die }
    die unless $line eq "$round\n";
    open my $out, '>', "$file.new" or die;
    print $out $round;
    close $out;
    rename "$file.new", $file;
    sleep 0.1;
}
