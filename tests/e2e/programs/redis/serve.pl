# HTTP in front of a program that speaks another protocol: every request runs ./query and answers with what it prints,
# 200 when it succeeded and 500 when not. perl-base alone.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1) or die "listen: $!";
while (1) {
  my $client = $server->accept or next;
  while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
  my $body = `./query 2>&1`;
  my $status = $? == 0 ? '200 OK' : '500 Internal Server Error';
  print $client "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
}
