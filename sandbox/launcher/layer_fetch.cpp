#include "sandbox/launcher/layer_fetch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "sandbox/base/process.h"
#include "sandbox/launcher/report_pipe.h"

namespace cloister::launcher {
namespace {

constexpr std::chrono::minutes kPatience{10};  // the largest image from a slow disk

// Keeps the image and the report, and nothing else of the launcher's: what a caller has closed is closed.
[[noreturn]] void fetch(const rootfs::Layers& layers, const std::string& digest, int file, int report) {
  constexpr int kHigh = 64;
  constexpr int kFile = 3;
  constexpr int kReport = 4;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // a launcher that comes after must find no other writer
  const int highFile = ::fcntl(file, F_DUPFD, kHigh);
  const int highReport = ::fcntl(report, F_DUPFD, kHigh);
  if (::dup2(highFile, kFile) < 0 || ::dup2(highReport, kReport) < 0 || !process::closeFrom(kReport + 1)) ::_exit(1);
  if (const Status done = layers.fetch(digest, kFile); !done) sendReport(kReport, done.error());
  ::_exit(0);
}

class Fetching final : public Pending {
 public:
  Fetching(rootfs::Layers& layers, std::string digest, UniqueFd child, UniqueFd report)
      : layers_(layers), digest_(std::move(digest)), child_(std::move(child)), report_(std::move(report)) {}

  [[nodiscard]] Wait wait() const override { return {report_.get(), POLLIN, deadline_}; }

  [[nodiscard]] std::optional<Answer> advance() override {
    pollfd reported{report_.get(), POLLIN, 0};
    if (::poll(&reported, 1, 0) != 1) {
      if (Clock::now() < deadline_) return std::nullopt;
      (void)process::sendSignal(child_.get(), SIGKILL);
      return answerOf(Error{"layer", "copy", digest_, ETIMEDOUT});
    }
    if (const Status fetched = readReport(report_.get()); !fetched) return answerOf(fetched);
    return answerOf(layers_.ensure(digest_));
  }

 private:
  rootfs::Layers& layers_;
  std::string digest_;
  UniqueFd child_;
  UniqueFd report_;  // end-of-file: the child has ended, without a failure to tell
  Clock::time_point deadline_ = Clock::now() + kPatience;
};

}  // namespace

Outcome mountLayer(rootfs::Layers& layers, const std::string& digest, int file) {
  if (auto there = layers.ensure(digest); there || there.error().code != ENOENT) return answerOf(there);
  auto report = makePipe();
  if (!report) return answerOf(report.error());
  auto child = process::cloneProcess(0, -1);
  if (!child) return answerOf(child.error());
  if (child->pid == 0) fetch(layers, digest, file, report->write.get());
  return std::unique_ptr<Pending>(
      std::make_unique<Fetching>(layers, digest, std::move(child->pidfd), std::move(report->read)));
}

}  // namespace cloister::launcher
