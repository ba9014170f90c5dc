// What a client and a node say to each other in a session: binary WebSocket messages of at most kMaxFrameBytes, the
// first byte a Channel, the rest bytes of it. cloisterd passes them on as they are, both ways.
//
// In a logs session the node sends one JSON LogLine a message on `output`. exec and run go like this; what stands in
// braces is a control message, JSON:
//
//   client                              node
//   argument, one a message        ->
//   {"more": N}                    ->
//   {"start": true}                ->   starts the command
//                                  <-   {"more": N}            N further bytes of input may come
//   input                          ->
//   {"stdinClosed": true}          ->   after the last input
//                                  <-   output, errors
//   {"more": N}                    ->   N further bytes of output and errors, in sum, may come
//   {"resize": {"rows": R, "columns": C}} ->
//                                  <-   {"stdinClosed": true}  the command reads no more of its input
//                                  <-   {"exit": N}, or {"error": "text"}, or both; always the last. A {"notice":
//                                       "text"} beside the exit says what the code does not: why it was killed
//
// Arguments are bytes: any but NUL, within the limits below. Whoever is granted bytes by `more` sends no more than
// those, so that each end holds at most kWindow bytes of the other's, however late a command reads or a client writes,
// and nothing on the way ever waits. A client that grants nothing before `start` gets the output as it comes and must
// read it: one that takes nothing for five minutes is left. Input that was not granted is read no faster than the
// command reads it.
//
// `exit` alone is how the command ended, as a shell has it: its exit code, or 128 and the signal's number. With an
// `error` the command was not started: 127 when there is no such program, 126 when it cannot be executed.
//
// Threads and failures: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cloister::model {

enum class Channel : std::uint8_t { input = 0, output = 1, errors = 2, control = 3, argument = 4 };

inline constexpr int kMaxFrameBytes = 1 << 20;
inline constexpr std::uint64_t kWindow = 512UL * 1024;
inline constexpr std::uint64_t kMostGranted = 1ULL << 40U;  // by one message

// Of one argument, what the kernel takes (MAX_ARG_STRLEN, with a zero behind it); of all, zeros included, half of what
// it takes: the environment needs room too.
inline constexpr std::size_t kMostArgumentBytes = 131'071;
inline constexpr std::size_t kMostCommandBytes = 1UL << 20U;
inline constexpr std::size_t kMostArguments = 16'384;

inline constexpr int kNotFoundExit = 127;
inline constexpr int kNotExecutableExit = 126;
inline constexpr int kSignalExit = 128;

}  // namespace cloister::model
