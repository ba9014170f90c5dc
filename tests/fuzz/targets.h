// What is fuzzed: functions from any bytes to "nothing bad happened". A broken promise aborts, so that libFuzzer, and
// the test that feeds them a corpus, both see it.
//
// Threads: pure. Failures: abort().
#pragma once

#include <cstddef>
#include <cstdint>

namespace cloister::fuzz {

// A datagram as the launcher takes it: u16 verb, then the request of that verb. What decodes must encode to the same
// bytes.
int launcherRequest(const std::uint8_t* data, std::size_t size);
// A reply as the client takes it; the first byte picks its kind.
int launcherReply(const std::uint8_t* data, std::size_t size);
// A profile file: parsed, laid over itself, compiled. What compiles must be a program that the kernel could take.
int profile(const std::uint8_t* data, std::size_t size);

}  // namespace cloister::fuzz
