// How a forked child tells the launcher why it never became the app: one fixed record over a close-on-exec pipe.
//
// End-of-file without a record means that every step, the app's execve included, succeeded. The record is written with
// one write(2) shorter than PIPE_BUF, so it arrives whole or not at all. Used by the launcher's child and by
// cloister-init. Threads and failures: a value; strings that are too long are cut.
#pragma once

// C headers: cloister-init is built without a C++ library.
#include <stddef.h>
#include <stdint.h>

namespace cloister {

struct ExecReport {
  char stage[32];
  char operation[48];
  char path[256];
  int32_t code;
};

// Descriptors that cloister-init finds open, beside 0, 1 and 2.
inline constexpr int kOutputDescriptor = 3;  // freeze only: where the image goes; kept for the app
inline constexpr int kStatusDescriptor = 4;  // gets "call N\n" lines, and last "exit N\n" or "signal N\n"
inline constexpr int kReportDescriptor = 5;  // the pipe of ExecReport
inline constexpr int kInitDescriptor = 6;    // cloister-init's own image, close-on-exec
inline constexpr int kAnswerDescriptor = 7;  // where the calls arrive that cloister-init answers
// From 8 on: live_views.h.

// Its second argument: what becomes of the calls that are handed to it beside those that it answers itself.
inline constexpr const char* kOpenCalls = "open";      // there are none
inline constexpr const char* kReportCalls = "report";  // they go on
inline constexpr const char* kRefuseCalls = "refuse";  // ENOSYS

// Fills `to` with at most size - 1 bytes of `from` and a zero.
inline void copyText(char* to, size_t size, const char* from) {
  size_t i = 0;
  for (; i + 1 < size && from[i] != '\0'; ++i) to[i] = from[i];
  to[i] = '\0';
}

}  // namespace cloister
