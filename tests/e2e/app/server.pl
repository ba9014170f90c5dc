# The app of the end-to-end tests: HTTP with nothing but Debian's perl-base, so that its build needs no network.
#   /          instance, release and GREETING      /log?text=T  writes T to standard output
#   /healthz   ok                                  /burn?seconds=N  works N seconds of CPU time in a child
#   /rusage    CPU seconds of this process and of its ended children, by times(2)
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 128, ReuseAddr => 1) or die "listen: $!";
print "listening on $ENV{PORT}\n";

sub cpu_seconds {
  my @times = times;
  return $times[0] + $times[1] + $times[2] + $times[3];
}

sub reply {
  my ($client, $status, $body) = @_;
  print $client "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: " . length($body)
    . "\r\nConnection: close\r\n\r\n$body";
}

sub burn {
  my ($client, $seconds) = @_;
  my $pid = fork;
  return reply($client, '503 Service Unavailable', "fork: $!\n") unless defined $pid;
  return if $pid;
  my $work = 0;
  while (cpu_seconds() < $seconds) { $work += $_ for 1 .. 20000 }
  reply($client, '200 OK', "burnt\n");
  close $client;
  exit 0;
}

while (1) {
  my $client = $server->accept or next;
  1 while waitpid(-1, 1) > 0;    # WNOHANG
  my $line = '';
  eval {
    local $SIG{ALRM} = sub { die "slow\n" };
    alarm 5;
    $line = <$client> // '';
    while (my $header = <$client>) { last if $header =~ /^\r?\n$/ }
    alarm 0;
  };
  alarm 0;
  my ($path, $query) = $line =~ m{^GET (/[^ ?]*)(?:\?([^ ]*))? } or next;
  my %query = map { /^([^=]*)=(.*)$/ ? ($1 => $2) : () } split /&/, $query // '';
  if ($path eq '/healthz') {
    reply($client, '200 OK', "ok\n");
  } elsif ($path eq '/') {
    reply($client, '200 OK', join(' ', $ENV{CLOISTER_INSTANCE} // '-', $ENV{CLOISTER_RELEASE} // '-', $ENV{GREETING} // '-') . "\n");
  } elsif ($path eq '/log') {
    print "log $query{text}\n";
    reply($client, '200 OK', "logged\n");
  } elsif ($path eq '/rusage') {
    reply($client, '200 OK', sprintf("%.2f\n", cpu_seconds()));
  } elsif ($path eq '/burn') {
    burn($client, $query{seconds} // 1);
  } else {
    reply($client, '404 Not Found', "not here\n");
  }
}
