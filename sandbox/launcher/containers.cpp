#include "sandbox/launcher/containers.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "policy/model/answered_calls.h"
#include "policy/model/apparmor.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/exec_report.h"
#include "sandbox/base/files.h"
#include "sandbox/base/mounts.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/child.h"
#include "sandbox/launcher/child_report.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "launch";
constexpr std::uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr int kRemovePatience = 5'000;  // milliseconds for killed processes to go

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> makePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errnoError(kStage, "pipe2");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// End-of-file: the app's execve succeeded. A record: the step that failed.
Status readReport(int pipe) {
  ExecReport record{};
  ssize_t got = -1;
  do {
    got = ::read(pipe, &record, sizeof record);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return {};
  if (got < 0) return errnoError(kStage, "read", "report");
  return reportedError({reinterpret_cast<const char*>(&record), static_cast<std::size_t>(got)});
}

void addGroups(Reply<Launched>& reply, cgroups::Group& group) {
  for (auto& [kind, directory] : group.directories) {
    reply.values.descriptors.push_back(kind);
    reply.descriptors.push_back(std::move(directory));
  }
}

// The process id that this namespace knows for a pidfd; 0 when it has ended.
std::uint32_t pidBehind(int pidfd) {
  const auto info = files::read("/proc/self/fdinfo/" + std::to_string(pidfd));
  constexpr std::string_view kKey = "\nPid:\t";
  const auto at = info ? info->find(kKey) : std::string::npos;
  std::uint32_t pid = 0;
  if (at != std::string::npos) std::from_chars(info->data() + at + kKey.size(), info->data() + info->size(), pid);
  return pid;
}

void endChild(const process::Child& child) {
  (void)process::sendSignal(child.pidfd.get(), SIGKILL);
  ::waitpid(child.pid, nullptr, 0);
}

}  // namespace

Result<std::unique_ptr<Containers>> Containers::create(Parts parts) {
  std::unique_ptr<Containers> containers(new Containers(std::move(parts)));
  for (const auto confinement : {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze}) {
    auto filter = policy::compile(policy::profileFor(confinement));
    if (!filter) return filter.error();
    containers->filters_[confinement] = policy::withAnsweredCalls(*filter);
  }
  if (auto made = files::makeDirectories(containers->parts_.records, 0700); !made) return made.error();
  return containers;
}

Status Containers::writeRecord(const std::string& instance, const Record& record) {
  const std::string path = parts_.records + "/" + instance;
  auto file = files::openAt(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, files::Resolve::anywhere, 0600);
  if (!file) return file.error();
  return files::writeAll(file->get(), std::to_string(record.tenant) + " " + std::to_string(record.address) + "\n");
}

Result<Containers::Record> Containers::readRecord(const std::string& instance) const {
  auto text = files::read(parts_.records + "/" + instance);
  if (!text) return text.error();
  Record record;
  const char* end = text->data() + text->size();
  const auto tenant = std::from_chars(text->data(), end, record.tenant);
  if (tenant.ec != std::errc{} || tenant.ptr == end) return Error{"record", "parse", instance, EPROTO};
  const auto address = std::from_chars(tenant.ptr + 1, end, record.address);
  if (address.ec != std::errc{} || !validTenant(record.tenant)) return Error{"record", "parse", instance, EPROTO};
  return record;
}

Result<Reply<Launched>> Containers::launch(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors) {
  if (auto good = check(request, descriptors.size()); !good) return good.error();
  if (readRecord(request.instance)) return Error{std::string(kStage), "create", request.instance, EEXIST};
  if (auto wrote = writeRecord(request.instance, {request.tenant, request.address}); !wrote) return wrote.error();
  auto group = parts_.groups->createInstance(request.tenant, request.instance, request.limits);
  Result<Reply<Launched>> started =
      group ? start(request, descriptors, *group) : Result<Reply<Launched>>(group.error());
  if (!started) (void)remove(request.instance);
  return started;
}

Result<Reply<Launched>> Containers::start(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors,
                                          cgroups::Group& group) {
  rootfs::Tree tree;
  for (const auto& digest : request.layers) {
    if (auto there = parts_.layers->ensure(digest); !there) return there.error();
    auto layer = parts_.layers->clone(digest, request.tenant);
    if (!layer) return layer.error();
    tree.layers.push_back(std::move(*layer));
  }
  auto upper = parts_.uppers->make(request.instance, request.tenant, request.limits.diskBytes, request.limits.inodes);
  if (!upper) return upper.error();
  auto meter = files::openAt(upper->get(), ".", O_PATH | O_DIRECTORY);
  if (!meter) return meter.error();
  tree.upper = std::move(*upper);
  if (request.confinement == Confinement::build) {
    // The build's own mount stays in the launcher for the freeze; the child gets a clone of it.
    if (auto kept = parts_.uppers->keep(request.instance, tree.upper.get()); !kept) return kept.error();
    auto shared = mounts::clone(tree.upper.get(), "");
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
  tree.own = parts_.views.files({request.limits.memoryBytes, request.limits.cpuMillis});
  tree.hostname = request.hostname;
  tree.address = request.address;

  auto profile = profileOf(request.confinement, request.tenant);
  if (!profile) return profile.error();
  auto proceed = makePipe();
  if (!proceed) return proceed.error();
  auto report = makePipe();
  if (!report) return report.error();
  ChildPlan plan;
  plan.confinement = request.confinement;
  plan.filter = &filters_.at(request.confinement);
  plan.appArmorProfile = std::move(*profile);
  plan.argv = request.argv;
  plan.environment = request.environment;
  plan.workingDirectory = request.workingDirectory;
  plan.openFiles = request.limits.openFiles;
  plan.standard = seqpacket::numbers(descriptors);
  plan.init = parts_.init.get();
  plan.report = report->write.get();
  plan.proceed = proceed->read.get();

  auto child = process::cloneProcessFor(firstUid(request.tenant), kNamespaces, group.unified());
  if (!child) return child.error();
  if (child->pid == 0) {
    proceed->write.reset();
    runContainer(plan, tree);
  }
  report->write.reset();
  proceed->read.reset();
  // While the child lays out its files, groups and network are made ready beside it.
  Status ready = rootfs::writeIdMaps(child->pid, request.tenant);
  if (ready) ready = files::writeAll(proceed->write.get(), "m");
  Result<UniqueFd> netns = files::openAt(AT_FDCWD, process::procPath(child->pid, "ns/net"), O_RDONLY);
  if (ready && !netns) ready = netns.error();
  if (ready) ready = parts_.groups->join(group, child->pid, cgroups::Tree::Born::insideUnified);
  if (ready) {
    ready = request.address == 0 ? parts_.network->loopbackOnly(netns->get())
                                 : parts_.network->link(request.tenant, request.address, netns->get());
  }
  if (ready) ready = files::writeAll(proceed->write.get(), "g");
  proceed->write.reset();
  // A child that failed says why; that explains more than our broken pipe.
  const Status reported = readReport(report->read.get());
  if (!reported) ready = reported;
  if (!ready) {
    endChild(*child);
    return ready.error();
  }

  Reply<Launched> reply;
  reply.values.instance = request.instance;
  reply.values.tenant = request.tenant;
  reply.values.pid = static_cast<std::uint32_t>(child->pid);
  reply.values.cgroupInode = group.inode;
  reply.values.descriptors = {DescriptorKind::pid, DescriptorKind::netns, DescriptorKind::upper};
  reply.descriptors.push_back(std::move(child->pidfd));
  reply.descriptors.push_back(std::move(*netns));
  reply.descriptors.push_back(std::move(*meter));
  addGroups(reply, group);
  return reply;
}

Result<std::string> Containers::profileOf(Confinement confinement, TenantIndex tenant) {
  if (parts_.appArmor == nullptr) return std::string();
  if (auto loaded = parts_.appArmor->ensure(tenant); !loaded) return loaded.error();
  return policy::appArmorProfileName(confinement, tenant);
}

Result<pid_t> Containers::findInit(TenantIndex tenant, const std::string& instance) {
  auto pids = parts_.groups->processes(tenant, instance);
  if (!pids) return pids.error();
  const auto found = std::find_if(pids->begin(), pids->end(), process::isNamespaceInit);
  if (found == pids->end()) return Error{std::string(kStage), "find init", instance, ESRCH};
  return *found;
}

Result<Reply<Executed>> Containers::exec(const ExecRequest& request, const std::vector<UniqueFd>& descriptors) {
  if (auto good = check(request, descriptors.size()); !good) return good.error();
  auto record = readRecord(request.instance);
  if (!record) return record.error();
  auto init = findInit(record->tenant, request.instance);
  if (!init) return init.error();
  auto target = process::openPidfd(*init);
  if (!target) return target.error();
  auto group = parts_.groups->openInstance(record->tenant, request.instance);
  if (!group) return group.error();
  // The number may have been given to a stranger between the two calls; a member of the group it is not, then.
  if (auto again = findInit(record->tenant, request.instance); !again || *again != *init) {
    return Error{"exec", "find init", request.instance, ESRCH};
  }
  auto profile = profileOf(Confinement::exec, record->tenant);
  if (!profile) return profile.error();
  auto proceed = makePipe();
  if (!proceed) return proceed.error();
  auto report = makePipe();
  if (!report) return report.error();
  auto handover = seqpacket::pair();
  if (!handover) return handover.error();

  ChildPlan plan;
  plan.confinement = Confinement::exec;
  plan.owner = firstUid(record->tenant);
  plan.filter = &filters_.at(Confinement::exec);
  plan.appArmorProfile = std::move(*profile);
  plan.argv = request.argv;
  plan.environment = request.environment;
  plan.workingDirectory = request.workingDirectory;
  plan.openFiles = 4096;
  plan.terminal = request.terminal;
  plan.standard = seqpacket::numbers(descriptors);
  plan.init = parts_.init.get();
  plan.report = report->write.get();
  plan.proceed = proceed->read.get();
  auto child = process::cloneProcess(0, group->unified());
  if (!child) return child.error();
  if (child->pid == 0) {
    proceed->write.reset();
    runExec(plan, target->get(), handover->second.get());
  }
  report->write.reset();
  proceed->read.reset();
  handover->second.reset();
  Status ready = parts_.groups->join(*group, child->pid, cgroups::Tree::Born::insideUnified);
  if (ready) ready = files::writeAll(proceed->write.get(), "g");
  proceed->write.reset();
  const Status reported = readReport(report->read.get());
  if (!reported) ready = reported;
  if (!ready) {
    endChild(*child);
    return ready.error();
  }
  ::waitpid(child->pid, nullptr, 0);
  auto message = seqpacket::receive(handover->first.get());
  if (!message) return message.error();
  if (message->descriptors.size() != 1) return Error{"exec", "receive", "pidfd", EPROTO};
  Reply<Executed> reply;
  reply.values.pid = pidBehind(message->descriptors.front().get());
  reply.descriptors = std::move(message->descriptors);
  return reply;
}

Status Containers::signal(const SignalRequest& request) {
  if (auto good = check(request); !good) return good;
  auto record = readRecord(request.instance);
  if (!record) return record.error();
  switch (request.target) {
    case SignalTarget::group:
      return parts_.groups->kill(record->tenant, request.instance);
    case SignalTarget::freeze:
      return parts_.groups->setMotion(record->tenant, request.instance, cgroups::Motion::frozen);
    case SignalTarget::thaw:
      return parts_.groups->setMotion(record->tenant, request.instance, cgroups::Motion::running);
    case SignalTarget::init:
      break;
  }
  auto init = findInit(record->tenant, request.instance);
  if (!init) return init.error();
  auto target = process::openPidfd(*init);
  if (!target) return target.error();
  return process::sendSignal(target->get(), static_cast<int>(request.signal));
}

Status Containers::remove(const std::string& instance) {
  if (auto good = check(RemoveRequest{instance}); !good) return good;
  auto record = readRecord(instance);
  if (!record) return record.error().code == ENOENT ? Status() : Status(record.error());
  if (auto killed = parts_.groups->kill(record->tenant, instance); !killed && killed.error().code != ENOENT)
    return killed;
  if (auto gone = parts_.groups->removeInstance(record->tenant, instance, kRemovePatience); !gone) return gone;
  if (record->address != 0) {
    if (auto done = parts_.network->unlink(record->tenant, record->address); !done) return done;
  }
  if (auto done = parts_.uppers->drop(instance); !done) return done;
  if (::unlink((parts_.records + "/" + instance).c_str()) != 0 && errno != ENOENT) {
    return errnoError("remove", "unlink", instance);
  }
  return {};
}

Result<std::vector<Reply<Launched>>> Containers::recover() {
  auto found = parts_.groups->scan();
  if (!found) return found.error();
  std::vector<Reply<Launched>> list;
  for (const auto& [tenant, instance] : *found) {
    auto init = findInit(tenant, instance);
    if (!init) continue;  // ended; remove() clears it when its owner asks
    auto group = parts_.groups->openInstance(tenant, instance);
    auto pidfd = process::openPidfd(*init);
    if (!group || !pidfd) continue;
    Reply<Launched> reply;
    reply.values.instance = instance;
    reply.values.tenant = tenant;
    reply.values.pid = static_cast<std::uint32_t>(*init);
    reply.values.cgroupInode = group->inode;
    reply.values.descriptors = {DescriptorKind::pid};
    reply.descriptors.push_back(std::move(*pidfd));
    auto netns = files::openAt(AT_FDCWD, process::procPath(*init, "ns/net"), O_RDONLY);
    if (netns) {
      reply.values.descriptors.push_back(DescriptorKind::netns);
      reply.descriptors.push_back(std::move(*netns));
    }
    auto upper = files::openAt(AT_FDCWD, process::procPath(*init, "root"), O_PATH | O_DIRECTORY);
    if (upper) {
      reply.values.descriptors.push_back(DescriptorKind::upper);
      reply.descriptors.push_back(std::move(*upper));
    }
    addGroups(reply, *group);
    list.push_back(std::move(reply));
  }
  return list;
}

}  // namespace cloister::launcher
