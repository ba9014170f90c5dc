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

// A record of the kernel's log. A denial names a tenant and has texts within their bounds.
int kernelLogRecord(const std::uint8_t* data, std::size_t size);
// A compiled AppArmor profile: what parses keeps its size and has a tenant's number instead of the hole.
int compiledAppArmor(const std::uint8_t* data, std::size_t size);
// Text of a control group's file or of mountinfo; the first byte picks its kind.
int cgroupFile(const std::uint8_t* data, std::size_t size);
// A netlink message's payload; the first byte picks its reader.
int netlinkMessage(const std::uint8_t* data, std::size_t size);
// What came over a child's report pipe: always an error, never one without an end.
int execReport(const std::uint8_t* data, std::size_t size);

// Text of any bytes: mended it is UTF-8, cut it stays what it was, in pieces it becomes the same.
int utf8Text(const std::uint8_t* data, std::size_t size);
// A request's body, a request's path and query: text, or a Problem that can be written.
int jsonBody(const std::uint8_t* data, std::size_t size);
int requestTarget(const std::uint8_t* data, std::size_t size);
// A request to the API: its head, read strictly, and where its body ends; the same however the bytes come.
int httpRequest(const std::uint8_t* data, std::size_t size);
// The documents between daemon and node: what decodes is written so that it decodes again, the same.
int nodeWork(const std::uint8_t* data, std::size_t size);
int nodeStatus(const std::uint8_t* data, std::size_t size);
int usageBatch(const std::uint8_t* data, std::size_t size);

// cloister.toml and Procfile: a manifest that can be kept, or an error that can be shown.
int manifest(const std::uint8_t* data, std::size_t size);
// An uploaded archive: within its bounds, or refused.
int sourceArchive(const std::uint8_t* data, std::size_t size);
int ignoreFile(const std::uint8_t* data, std::size_t size);
// Output of builds and apps; an app's answer to a health check; a client's frame in a session.
int processOutput(const std::uint8_t* data, std::size_t size);
int healthAnswer(const std::uint8_t* data, std::size_t size);
int sessionFrame(const std::uint8_t* data, std::size_t size);

}  // namespace cloister::fuzz
