// Text without stdio, which would cost every container a page or two: numbers in and out of a bounded piece of memory.
//
// Threads: a value. Failures: what does not fit is left out.
#pragma once

#include <stddef.h>

namespace cloister {

class Text {
 public:
  Text(char* room, size_t size) : begin_(room), at_(room), end_(room + size - 1) { *room = '\0'; }

  Text& put(const char* text) {
    while (*text != '\0' && at_ < end_) *at_++ = *text++;
    *at_ = '\0';
    return *this;
  }
  // Right-aligned in `width`, filled with `fill`.
  Text& put(unsigned long number, int width = 0, char fill = ' ') {
    char digits[24];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    for (int missing = width - count; missing > 0 && at_ < end_; --missing) *at_++ = fill;
    while (count > 0 && at_ < end_) *at_++ = digits[--count];
    *at_ = '\0';
    return *this;
  }

  [[nodiscard]] const char* begin() const { return begin_; }
  [[nodiscard]] size_t size() const { return static_cast<size_t>(at_ - begin_); }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

// The number at `at`, blanks before it passed over; `end`, if given, is set behind it.
inline unsigned long numberAt(const char* at, const char** end = nullptr) {
  while (*at == ' ' || *at == '\t') ++at;
  unsigned long number = 0;
  for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + static_cast<unsigned long>(*at - '0');
  if (end != nullptr) *end = at;
  return number;
}

}  // namespace cloister
