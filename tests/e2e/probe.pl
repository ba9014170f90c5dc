# Sent into a container over exec's standard input: tries what a tenant must not reach and prints one word a line of input.
#   tcp ADDRESS PORT         open | closed          (an IPv6 link-local address has %eth0)
#   udp ADDRESS PORT         sent | unsent | answered
#   raw                      made | refused         (a raw IPv4 socket, to forge a source with)
#   packet                   made | refused         (a packet socket)
#   source ADDRESS           bound | refused        (a foreign source address)
#   gateway                  the default gateway's address
#   ipv6                     the IPv6 addresses besides loopback, or none
use strict;
use warnings;
use Socket qw(:DEFAULT inet_pton inet_ntoa getaddrinfo IPPROTO_TCP AI_NUMERICHOST SOCK_RAW);

$| = 1;

sub addresses {
  my ($host, $port, $type) = @_;
  my ($error, @found) = getaddrinfo($host, $port, { flags => AI_NUMERICHOST, socktype => $type });
  return $error ? () : @found;
}

sub tcp {
  my ($host, $port) = @_;
  my ($to) = addresses($host, $port, SOCK_STREAM) or return 'closed';
  socket(my $socket, $to->{family}, SOCK_STREAM, 0) or return 'closed';
  my $open = eval {
    local $SIG{ALRM} = sub { die "late\n" };
    alarm 2;
    my $done = connect $socket, $to->{addr};
    alarm 0;
    $done;
  };
  alarm 0;
  return $open ? 'open' : 'closed';
}

sub udp {
  my ($host, $port) = @_;
  my ($to) = addresses($host, $port, SOCK_DGRAM) or return 'unsent';
  socket(my $socket, $to->{family}, SOCK_DGRAM, 0) or return 'unsent';
  # A query for the name "a", type A.
  my $query = pack 'n6 C a C n2', 7, 0x0100, 1, 0, 0, 0, 1, 'a', 0, 1, 1;
  defined send($socket, $query, 0, $to->{addr}) or return 'unsent';
  my $bits = '';
  vec($bits, fileno $socket, 1) = 1;
  return select($bits, undef, undef, 2) > 0 && defined recv($socket, my $answer, 512, 0) ? 'answered' : 'sent';
}

sub gateway {
  open my $routes, '<', '/proc/net/route' or return 'none';
  while (<$routes>) {
    my @fields = split;
    return inet_ntoa(pack 'V', hex $fields[2]) if $fields[1] eq '00000000' && $fields[0] ne 'Iface';
  }
  return 'none';
}

sub ipv6 {
  open my $list, '<', '/proc/net/if_inet6' or return 'none';
  my @found = map { (split)[0] } grep { !/ lo$/ } <$list>;
  return @found ? "@found" : 'none';
}

while (my $line = <STDIN>) {
  my ($verb, @words) = split ' ', $line;
  next unless $verb;
  my $answer = 'unknown';
  if ($verb eq 'tcp') { $answer = tcp(@words) }
  elsif ($verb eq 'udp') { $answer = udp(@words) }
  elsif ($verb eq 'raw') { $answer = socket(my $socket, PF_INET, SOCK_RAW, 255) ? 'made' : 'refused' }
  elsif ($verb eq 'packet') { $answer = socket(my $socket, 17, SOCK_RAW, 0x0300) ? 'made' : 'refused' }
  elsif ($verb eq 'source') {
    socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
    $answer = bind($socket, pack_sockaddr_in(0, inet_aton($words[0]))) ? 'bound' : 'refused';
  }
  elsif ($verb eq 'gateway') { $answer = gateway() }
  elsif ($verb eq 'ipv6') { $answer = ipv6() }
  print "$line" =~ s/\n//r, " = $answer\n";
}
