# A line each 50 ms with a number that grows by one: a missing number is a lost line.
use strict;
use warnings;

$| = 1;
for (my $n = 0;; $n++) {
  print "tick $n\n";
  select undef, undef, undef, 0.05;
}
