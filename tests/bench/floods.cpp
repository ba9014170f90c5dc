#include "tests/bench/floods.h"

namespace cloister::bench {

const std::vector<Flood>& floods() {
  static const std::vector<Flood> all = {
      {"CPU", "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait", ""},
      {"memory", "for i in 1 2 3 4; do while :; do dd if=/dev/zero of=/dev/null bs=40M count=1; done & done; wait", ""},
      {"forks", "while :; do (/bin/true &) ; done", ""},
      {"disk", "while :; do dd if=/dev/zero of=/app/full bs=1M; rm -f /app/full; done", ""},
      {"inodes", "while :; do i=0; while : >/app/f$i; do i=$((i+1)); done; rm -rf /app/f*; done", ""},
      {"page cache", "while :; do dd if=/etc/large of=/dev/null bs=1M; done", ""},
      {"network", "while :; do dd if=/dev/zero bs=64k | nc @NEXT@ 9000; sleep 0.1; done",
       "while :; do nc -l -p 9000 >/dev/null; done"},
      {"log", "for i in 1 2; do yes 'a line of output that says nothing, again and again' & done; wait", ""},
  };
  return all;
}

}  // namespace cloister::bench
