// Exec: a process of the container that the launcher makes. See containers.h.
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>

#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/child.h"
#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/emptying.h"
#include "sandbox/launcher/handover.h"
#include "sandbox/launcher/report_pipe.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "exec";
constexpr std::uint64_t kOpenFiles = 4096;
constexpr std::chrono::seconds kPatience{30};

// The process id that this namespace knows for a pidfd; 0 when it has ended.
std::uint32_t pidBehind(int pidfd) {
  const auto info = files::read("/proc/self/fdinfo/" + std::to_string(pidfd));
  constexpr std::string_view kKey = "\nPid:\t";
  const auto at = info ? info->find(kKey) : std::string::npos;
  std::uint32_t pid = 0;
  if (at != std::string::npos) std::from_chars(info->data() + at + kKey.size(), info->data() + info->size(), pid);
  return pid;
}

class Executing final : public Pending {
 public:
  Executing(UniqueFd child, UniqueFd report, UniqueFd handover, TerminalSize terminal)
      : child_(std::move(child)), report_(std::move(report)), handover_(std::move(handover)), terminal_(terminal) {}

  [[nodiscard]] Wait wait() const override { return {report_.get(), POLLIN, deadline_}; }

  [[nodiscard]] std::optional<Answer> advance() override {
    pollfd reported{report_.get(), POLLIN, 0};
    if (::poll(&reported, 1, 0) != 1) {
      if (Clock::now() < deadline_) return std::nullopt;
      return abandon(Error{std::string(kStage), "wait", "child", ETIMEDOUT});
    }
    if (const Status started = readReport(report_.get()); !started) return abandon(started.error());
    // The children held the report's pipe until they had sent these.
    auto handed = takeHanded(handover_.get());
    if (!handed.pidfd) return abandon(Error{std::string(kStage), "receive", "pidfd", EPROTO});
    if (terminal_.wanted() != handed.leader.valid()) {
      (void)process::sendSignal(handed.pidfd.get(), SIGKILL);
      return abandon(Error{std::string(kStage), "receive", "terminal", EPROTO});
    }
    Executed executed;
    executed.pid = pidBehind(handed.pidfd.get());
    Answer answer{encode(executed), {}};
    answer.descriptors.push_back(std::move(handed.pidfd));
    if (handed.leader) answer.descriptors.push_back(std::move(handed.leader));
    return answer;
  }

 private:
  Answer abandon(const Error& why) {
    (void)process::sendSignal(child_.get(), SIGKILL);
    const auto handed = takeHanded(handover_.get());
    if (handed.pidfd) (void)process::sendSignal(handed.pidfd.get(), SIGKILL);
    return answerOf(why);
  }

  UniqueFd child_;   // enters the namespaces and makes the sibling that becomes the command
  UniqueFd report_;  // end-of-file: the command's exec succeeded
  UniqueFd handover_;
  TerminalSize terminal_;
  Clock::time_point deadline_ = Clock::now() + kPatience;
};

}  // namespace

Outcome Containers::exec(const ExecRequest& request, const std::vector<UniqueFd>& descriptors) {
  if (auto good = check(request, descriptors.size()); !good) return answerOf(good);
  auto record = readRecord(request.instance);
  if (!record) return answerOf(record.error());
  auto target = openInit(record->tenant, request.instance);
  if (!target) return answerOf(target.error());
  auto group = parts_.groups->openInstance(record->tenant, request.instance);
  if (!group) return answerOf(group.error());
  auto tasks = parts_.groups->joinFiles(*group);
  if (!tasks) return answerOf(tasks.error());
  auto profile = profileOf(Confinement::exec, record->tenant);
  if (!profile) return answerOf(profile.error());
  auto report = makePipe();
  if (!report) return answerOf(report.error());
  auto handover = seqpacket::pair();
  if (!handover) return answerOf(handover.error());

  ChildPlan plan;
  plan.confinement = Confinement::exec;
  plan.owner = firstUid(record->tenant);
  plan.filter = &filters_.at(Confinement::exec).answered;
  plan.appArmorProfile = std::move(*profile);
  plan.argv = request.argv;
  plan.environment = request.environment;
  plan.workingDirectory = request.workingDirectory;
  plan.writes = request.writes;
  plan.writable = request.writable;
  plan.openFiles = kOpenFiles;
  plan.terminal = request.terminal;
  plan.handover = handover->second.get();
  plan.standard = seqpacket::numbers(descriptors);
  plan.init = parts_.init.get();
  plan.report = report->write.get();
  plan.groups = seqpacket::numbers(*tasks);
  auto own = parts_.groups->createExec(record->tenant, request.instance, request.exec);
  if (!own) return answerOf(own.error());
  auto child = process::cloneProcess(0, own->get());
  if (!child) return answerOf(child.error());
  if (child->pid == 0) runExec(plan, target->get());
  return std::unique_ptr<Pending>(std::make_unique<Executing>(std::move(child->pidfd), std::move(report->read),
                                                              std::move(handover->first), request.terminal));
}

Outcome Containers::endExec(const EndExecRequest& request) {
  if (auto good = check(request); !good) return answerOf(good);
  const auto record = readRecord(request.instance);
  if (!record && record.error().code == ENOENT) return answerOf(Status());
  if (!record) return answerOf(record.error());
  const auto killed = parts_.groups->killExec(record->tenant, request.instance, request.exec);
  if (!killed) return answerOf(killed.error().code == ENOENT ? Status() : killed);
  auto events = parts_.groups->openExecEvents(record->tenant, request.instance, request.exec);
  if (!events && events.error().code != ENOENT) return answerOf(events.error());
  return empty(
      request.instance + "/" + request.exec, events ? std::move(events).value() : UniqueFd(),
      [groups = parts_.groups, tenant = record->tenant, request] {
        return groups->tryRemoveExec(tenant, request.instance, request.exec);
      },
      [] { return Status(); });
}

}  // namespace cloister::launcher
