#include "sandbox/launcher/report_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sandbox/base/exec_report.h"
#include "sandbox/base/files.h"
#include "sandbox/launcher/child_report.h"

namespace cloister::launcher {

Result<Pipe> makePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errnoError("launch", "pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void sendReport(int pipe, const Error& error) {
  ExecReport record{};
  record.code = error.code;
  copyText(record.stage, sizeof record.stage, error.stage.c_str());
  copyText(record.operation, sizeof record.operation, error.operation.c_str());
  copyText(record.path, sizeof record.path, error.path.c_str());
  (void)files::writeAll(pipe, {reinterpret_cast<const char*>(&record), sizeof record});
}

Status readReport(int pipe) {
  ExecReport record{};
  ssize_t got = -1;
  do {
    got = ::read(pipe, &record, sizeof record);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return {};
  if (got < 0) return errnoError("launch", "read", "report");
  return reportedError({reinterpret_cast<const char*>(&record), static_cast<std::size_t>(got)});
}

}  // namespace cloister::launcher
