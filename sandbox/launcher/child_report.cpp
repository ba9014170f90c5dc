#include "sandbox/launcher/child_report.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "sandbox/base/exec_report.h"

namespace cloister::launcher {
namespace {

// Up to the first zero: the sender may have been anything by the time it wrote.
template <std::size_t N>
std::string textOf(const char (&field)[N]) {
  return {field, ::strnlen(field, N - 1)};
}

}  // namespace

Error reportedError(std::string_view bytes) {
  ExecReport record{};
  if (bytes.size() != sizeof record) return Error{"launch", "read", "report", EPROTO};
  std::memcpy(&record, bytes.data(), sizeof record);
  // Zero would read as success.
  return Error{textOf(record.stage), textOf(record.operation), textOf(record.path),
               record.code == 0 ? EPROTO : record.code};
}

}  // namespace cloister::launcher
