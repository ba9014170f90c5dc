// What every list takes: where to go on, and how many rows at most.
//
// Threads and failures: values.
#pragma once

#include <cstddef>
#include <string>

namespace cloister::store {

struct Page {
  std::string after;         // key of the last row already seen (each list names its key); empty: from the start
  std::size_t limit = 1000;  // ask for one more than you show to know whether there is a next page
};

}  // namespace cloister::store
