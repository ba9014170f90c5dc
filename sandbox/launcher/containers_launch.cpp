// Launch: everything up to the child's start, then waiting for its report. See containers.h.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "policy/model/call_profile.h"
#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/child.h"
#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/handover.h"
#include "sandbox/launcher/report_pipe.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "launch";
constexpr std::uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr std::chrono::seconds kPatience{30};  // for a child that has little CPU to itself

// What cloister-init reads for the container's live views, in the order of LiveSource. A group that lacks one leaves an
// invalid descriptor.
std::vector<UniqueFd> openSources(const cgroups::Group& group) {
  const auto open = [&group](DescriptorKind kind, const char* name) {
    for (const auto& [there, directory] : group.directories) {
      if (there != kind) continue;
      if (auto file = files::openAt(directory.get(), name, O_RDONLY)) return std::move(*file);
    }
    return UniqueFd();
  };
  std::vector<UniqueFd> sources;
  const bool older = open(DescriptorKind::memory, "memory.stat").valid();
  const auto memory = older ? DescriptorKind::memory : DescriptorKind::unified;
  sources.push_back(open(memory, older ? "memory.usage_in_bytes" : "memory.current"));
  sources.push_back(open(memory, "memory.stat"));
  sources.push_back(open(DescriptorKind::unified, "cpu.stat"));
  return sources;
}

// Fails with the removal's end, whatever that brings.
class Undoing final : public Pending {
 public:
  Undoing(std::unique_ptr<Pending> removal, const Error& why) : removal_(std::move(removal)), why_(why) {}
  [[nodiscard]] Wait wait() const override { return removal_->wait(); }
  [[nodiscard]] std::optional<Answer> advance() override {
    if (!removal_->advance()) return std::nullopt;
    return answerOf(why_);
  }

 private:
  std::unique_ptr<Pending> removal_;
  Error why_;
};

}  // namespace

class Containers::Launching final : public Pending {
 public:
  Launching(Containers& owner, const LaunchRequest& request) : owner_(owner) {
    reply.values.instance = request.instance;
    reply.values.tenant = request.tenant;
  }

  [[nodiscard]] Wait wait() const override {
    return undoing_ ? undoing_->wait() : Wait{report.get(), POLLIN, deadline_};
  }

  [[nodiscard]] std::optional<Answer> advance() override {
    if (undoing_) return undoing_->advance();
    pollfd reported{report.get(), POLLIN, 0};
    const bool overdue = ::poll(&reported, 1, 0) != 1;
    if (overdue && Clock::now() < deadline_) return std::nullopt;
    const Status started =
        overdue ? Status(Error{std::string(kStage), "wait", "child", ETIMEDOUT}) : readReport(report.get());
    if (!started) {
      Outcome left = owner_.undo(reply.values.instance, started.error());
      if (auto* answer = std::get_if<Answer>(&left)) return std::move(*answer);
      undoing_ = std::move(std::get<std::unique_ptr<Pending>>(left));
      return std::nullopt;
    }
    clock.mark(LaunchStage::executed);
    reply.values.stages = clock.read();
    if (auto leader = takeHanded(handover.get()).leader; leader) {
      reply.values.descriptors.push_back(DescriptorKind::terminal);
      reply.descriptors.push_back(std::move(leader));
    }
    return Answer{encode(reply.values), std::move(reply.descriptors)};
  }

  StageClock clock;
  Reply<Launched> reply;
  UniqueFd report;    // end-of-file: the app's exec succeeded
  UniqueFd handover;  // where the terminal's leader comes, if there is to be one

 private:
  Containers& owner_;
  Clock::time_point deadline_ = Clock::now() + kPatience;
  std::unique_ptr<Pending> undoing_;
};

Outcome Containers::launch(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors) {
  auto launching = std::make_unique<Launching>(*this, request);
  if (auto good = check(request, descriptors.size()); !good) return answerOf(good);
  if (readRecord(request.instance)) {
    return answerOf(Error{std::string(kStage), "create", request.instance, EEXIST});
  }
  if (auto wrote = writeRecord(request.instance, {request.tenant, request.address}); !wrote) return answerOf(wrote);
  if (auto begun = begin(request, descriptors, *launching); !begun) return undo(request.instance, begun.error());
  return std::unique_ptr<Pending>(std::move(launching));
}

Outcome Containers::undo(const std::string& instance, const Error& why) {
  Outcome left = remove(instance);
  if (std::holds_alternative<Answer>(left)) return answerOf(why);
  return std::unique_ptr<Pending>(std::make_unique<Undoing>(std::move(std::get<std::unique_ptr<Pending>>(left)), why));
}

Status Containers::prepareTree(const LaunchRequest& request, rootfs::Tree& tree, UniqueFd& meter) {
  for (const auto& digest : request.layers) {
    if (auto there = parts_.layers->ensure(digest); !there) return there.error();
    auto layer = parts_.layers->clone(digest, request.tenant);
    if (!layer) return layer.error();
    tree.layers.push_back(std::move(*layer));
  }
  auto upper = parts_.uppers->make(request.instance, request.tenant, request.limits.diskBytes, request.limits.inodes);
  if (!upper) return upper.error();
  auto directory = files::openAt(upper->get(), ".", O_PATH | O_DIRECTORY);
  if (!directory) return directory.error();
  meter = std::move(*directory);
  tree.upper = std::move(*upper);
  if (request.confinement == Confinement::build) {
    auto shared = parts_.uppers->keep(request.instance, std::move(tree.upper));
    if (!shared) return shared.error();
    tree.upper = std::move(*shared);
  }
  if (request.confinement == Confinement::freeze) {
    auto frozen = parts_.uppers->cloneReadOnly(request.freezeOf);
    if (!frozen) return frozen.error();
    tree.frozen = std::move(*frozen);
  }
  tree.stage = parts_.layers->stage();
  tree.views = &parts_.views;
  const rootfs::Capacity capacity{request.limits.memoryBytes, request.limits.cpuMillis};
  tree.own = parts_.views.files(capacity);
  tree.processors = parts_.views.processorCount(capacity);
  tree.initUser = request.confinement == Confinement::app ? kAppUid : 0;
  tree.hostname = request.hostname;
  tree.address = request.address;
  return {};
}

Status Containers::begin(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors, Launching& launching) {
  StageClock& clock = launching.clock;
  auto group = parts_.groups->createInstance(request.tenant, request.instance, request.limits);
  if (!group) return group.error();
  auto tasks = parts_.groups->joinFiles(*group);
  if (!tasks) return tasks.error();
  clock.mark(LaunchStage::group);
  rootfs::Tree tree;
  UniqueFd meter;
  if (auto ready = prepareTree(request, tree, meter); !ready) return ready;
  clock.mark(LaunchStage::files);

  auto profile = profileOf(request.confinement, request.tenant);
  if (!profile) return profile.error();
  auto proceed = makePipe();
  if (!proceed) return proceed.error();
  auto report = makePipe();
  if (!report) return report.error();
  ChildPlan plan;
  UniqueFd theirEnd;
  if (request.terminal.wanted()) {
    auto handover = seqpacket::pair();
    if (!handover) return handover.error();
    launching.handover = std::move(handover->first);
    theirEnd = std::move(handover->second);
  }
  plan.handover = theirEnd.get();
  plan.terminal = request.terminal;
  plan.confinement = request.confinement;
  const auto& filters = filters_.at(request.confinement);
  plan.filter = &filters.answered;
  if (request.otherCalls != OtherCalls::open) {
    auto narrowing = policy::narrowingFilter(request.calls);
    if (!narrowing) return narrowing.error();
    plan.narrowing = std::move(*narrowing);
    plan.filter = &filters.plain;
    plan.otherCalls = request.otherCalls;
  }
  plan.clock = &clock;
  plan.appArmorProfile = std::move(*profile);
  plan.argv = request.argv;
  plan.environment = request.environment;
  plan.workingDirectory = request.workingDirectory;
  plan.writes = request.writes;
  plan.writable = request.writable;
  plan.openFiles = request.limits.openFiles;
  plan.standard = seqpacket::numbers(descriptors);
  plan.init = parts_.init.get();
  plan.report = report->write.get();
  plan.proceed = proceed->read.get();
  plan.groups = seqpacket::numbers(*tasks);
  const auto sources = openSources(*group);
  plan.sources = seqpacket::numbers(sources);

  auto child = process::cloneProcessFor(firstUid(request.tenant), kNamespaces, group->unified());
  if (!child) return child.error();
  if (child->pid == 0) {
    proceed->write.reset();
    runContainer(plan, tree, request.tenant);
  }
  clock.mark(LaunchStage::cloned);
  // While the child lays out its files, its network is made ready beside it.
  if (auto done = rootfs::writeIdMaps(child->pid, request.tenant); !done) return done;
  if (auto done = files::writeAll(proceed->write.get(), {&kMapped, 1}); !done) return done;
  clock.mark(LaunchStage::mapped);
  auto netns = files::openAt(AT_FDCWD, process::procPath(child->pid, "ns/net"), O_RDONLY);
  if (!netns) return netns.error();
  if (request.address != 0) {
    if (auto done = parts_.network->link(request.tenant, request.address, netns->get()); !done) return done;
  }
  if (auto done = files::writeAll(proceed->write.get(), {&kLinked, 1}); !done) return done;
  clock.mark(LaunchStage::outer);

  launching.report = std::move(report->read);
  auto& reply = launching.reply;
  reply.values.pid = static_cast<std::uint32_t>(child->pid);
  reply.values.cgroupInode = group->inode;
  reply.values.descriptors = {DescriptorKind::pid, DescriptorKind::netns, DescriptorKind::upper};
  reply.descriptors.push_back(std::move(child->pidfd));
  reply.descriptors.push_back(std::move(*netns));
  reply.descriptors.push_back(std::move(meter));
  addGroups(reply, *group);
  return {};
}

}  // namespace cloister::launcher
