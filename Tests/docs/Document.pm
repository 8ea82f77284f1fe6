# SPDX-License-Identifier: GPL-2.0-or-later
#
# A Markdown document, or a manual page, in the pieces that the checks look at.

package Document;

use strict;
use warnings;

# Blocks and directives in their order, each with the number of its first line:
#   { kind => 'block', line, language, marks => { run => 1, file => PATH, ... }, text => [LINES] }
#   { kind => 'directive', line, words }      of <!-- docs: WORDS -->
# and in `prose` the lines outside of blocks, by number. In a manual page a block is what stands between
# .EX and .EE, a directive is a comment "docs: WORDS", and "docs: run" marks the next block.
sub read_from {
    my ($class, $path) = @_;
    open my $file, '<:encoding(UTF-8)', $path or die "$path: $!\n";
    my $self = bless { path => $path, parts => [], prose => {}, lines => 0 }, $class;
    my ($block, $isMarked);
    my $isManual = $path =~ /\.[1-9]$/;
    while (defined(my $line = <$file>)) {
        chomp $line;
        $self->{lines}++;
        if ($isManual) {
            if ($line eq '.EE') { undef $block; next }
            if ($block) { push @{ $block->{text} }, manual_text($line); next }
            if ($line eq '.EX') {
                $block = {
                    kind => 'block', line => $., language => '', text => [],
                    marks => { $isMarked ? (run => 1) : () },
                };
                push @{ $self->{parts} }, $block;
                $isMarked = 0;
            } elsif ($line eq '.\\" docs: run') {
                $isMarked = 1;
            } elsif ($line =~ /^\.\\" docs: (.*)$/) {
                push @{ $self->{parts} }, { kind => 'directive', line => $., words => $1 };
            }
            next;
        }
        if ($block) {
            if ($line eq $block->{indent} . '```') { undef $block; next }
            push @{ $block->{text} }, $line =~ s/^\Q$block->{indent}\E//r;
            next;
        }
        if ($line =~ /^( *)```(\S*)(.*)$/) {
            my %marks = map { /^([^=]+)=(.*)$/ ? ($1, $2) : ($_, 1) } split ' ', $3;
            $block = {
                kind => 'block', line => $., language => $2, indent => $1, marks => \%marks,
                text => [],
            };
            push @{ $self->{parts} }, $block;
            next;
        }
        if ($line =~ /^ *<!-- docs: (.*) -->$/) {
            push @{ $self->{parts} }, { kind => 'directive', line => $., words => $1 };
            next;
        }
        $self->{prose}{$.} = $line;
    }
    die "$path:$block->{line}: the block does not end\n" if $block;
    return $self;
}

# A line of a manual page as it is shown.
sub manual_text {
    my ($line) = @_;
    $line =~ s/^\\&//;
    $line =~ s/\\-/-/g;
    $line =~ s/\\f[IRBP]//g;
    $line =~ s/\\e/\\/g;
    return $line;
}

# The commands of a console block, with what is printed after each: { host, command, output }. The host is
# nil for a bare "# ". A line that ends in a backslash goes on in the next.
sub commands {
    my ($block) = @_;
    my @commands;
    my $isOpen = 0;
    for my $line (@{ $block->{text} }) {
        if ($isOpen) {
            $commands[-1]{command} .= "\n$line";
            $isOpen = $line =~ /\\$/;
        } elsif ($line =~ /^(?:([a-z][a-z0-9-]*))?[#\$] (.*)$/) {
            push @commands, { host => $1, command => $2, output => '' };
            $isOpen = $line =~ /\\$/;
        } elsif (@commands) {
            $commands[-1]{output} .= "$line\n";
        } else {
            return;
        }
    }
    return @commands;
}

# Numbers and times have a placeholder, addresses and names are kept; blanks are one. A line that
# ends in a backslash goes on in the next.
sub plain {
    my ($text) = @_;
    $text =~ s/\\\n//g;
    my @kept;
    $text =~ s{(?<![\w.])(\d+\.\d+\.\d+\.\d+(?:/\d+)?)}{push @kept, $1; "\x01" . chr(0x100 + $#kept)}ge;
    $text =~ s/(?<![A-Za-z_\x01])\d+(?:[.,:]\d+)*/N/g;
    $text =~ s/\bN (?:us|ms|s|min|h|d)\b(?: N (?:s|min|h)\b)?/TIME/g;
    $text =~ s/\x01(.)/$kept[ord($1) - 0x100]/ge;
    $text =~ s/[ \t]+/ /g;
    $text =~ s/^ | $//gm;
    return $text;
}

# Whether an output is as a document says: a line "..." stands for any lines, "..." in a line for anything.
sub fits {
    my ($wanted, $found) = @_;
    my $pattern = '';
    for my $line (split /\n/, plain($wanted)) {
        $pattern .= $line eq '...' ? '(?:.*\n)*?' : quotemeta($line) =~ s/\\\.\\\.\\\./.*/gr . '\n';
    }
    return plain($found) =~ /\A$pattern\z/;
}

1;
