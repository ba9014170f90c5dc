#include <Poco/Exception.h>
#include <Poco/UUIDGenerator.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "controlplane/node/builds.h"
#include "controlplane/node/exception_text.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/mebibytes.h"
#include "controlplane/node/sha256.h"
#include "sandbox/base/files.h"
#include "sandbox/base/streams.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using model::Failure;

constexpr std::size_t kChunk = 64UL * 1024;
constexpr std::size_t kMaxHeld = 4UL << 20U;
constexpr std::chrono::milliseconds kLogDelay{250};
constexpr std::chrono::seconds kLogRetry{1};
constexpr std::chrono::seconds kLogLast{10};
constexpr std::chrono::seconds kFreezeLimit{600};
constexpr std::chrono::seconds kAfterKill{30};
constexpr std::uint64_t kDefaultSeconds = 900;
constexpr std::uint64_t kFullBytes = 64UL * 1024;
constexpr std::uint64_t kFullInodes = 4;
constexpr int kPublishTries = 6;
// The same files make the same image: mkfs.erofs draws no UUID, and leaves each file its own time but none after 2100.
constexpr const char* kImageUuid = "-U00000000-0000-0000-0000-000000000000";
constexpr const char* kImageTimes = "SOURCE_DATE_EPOCH=4102444800";
constexpr int kTooLarge = 413;
// What serves only the build that left it: apt's lists, caches and archives, and temporary files.
constexpr const char* kNotFrozen =
    "--exclude-regex=^(tmp|var/lib/apt/lists|var/cache/apt/archives/partial)/."
    "|^var/cache/apt/(archives/)?[^/]*[.](bin|deb)$";
constexpr const char* kNotFrozenBeforeApt = "--exclude-regex=^tmp/.";
constexpr const char* kFreezing = "-fz";  // behind the name of the container whose upper it is

Failure internal(const Error& error) {
  return {"build_internal", error.message()};
}

// Carries `output` to `sink` until the container has ended and the pipe is empty. Every process of the container dies
// with its init, so the pipe's last writer does too.
enum class End { ended, timeout, cancelled };
template <typename Sink, typename Tick>
End follow(const sandbox::Container& container, int output, Clock::time_point deadline,
           const std::atomic<bool>& cancelled, Sink&& sink, Tick&& tick) {
  const int pidfd = container.descriptor(launcher::DescriptorKind::pid);
  std::string buffer(kChunk, '\0');
  bool open = true;
  for (;;) {
    std::array<streams::Watched, 2> watched{{{open ? output : -1}, {pidfd}}};
    if (auto done = streams::waitAny(watched, 200); !done) spdlog::warn("{}", done.error().message());
    const bool over = streams::ended(pidfd);
    for (;;) {
      auto got = streams::readSome(output, buffer.data(), buffer.size());
      if (!got || !got->has_value()) break;
      if (**got == 0) {
        open = false;
        break;
      }
      sink(std::string_view(buffer.data(), **got));
      if (!over) break;
    }
    tick();
    if (over) return End::ended;
    if (cancelled) return End::cancelled;
    if (Clock::now() >= deadline) return End::timeout;
  }
}

void awaitEnd(const sandbox::Container& container) {
  const auto until = Clock::now() + kAfterKill;
  std::array<streams::Watched, 1> watched{{{container.descriptor(launcher::DescriptorKind::pid)}}};
  while (!streams::ended(watched[0].fd) && Clock::now() < until) {
    if (auto done = streams::waitAny(watched, 200); !done) return;
  }
}

std::string readStatus(const std::string& file) {
  auto text = files::read(file, kMostStatusBytes);
  return text ? std::move(text).value() : std::string();
}

}  // namespace

BuildLog::BuildLog(const Server& server, std::string build) : server_(server), build_(std::move(build)) {}

void BuildLog::add(std::string_view text) {
  if (text.empty()) return;
  if (buffer_.empty()) due_ = Clock::now() + kLogDelay;
  if (buffer_.size() + text.size() > kMaxHeld) {
    lost_ += text.size();
    return;
  }
  if (lost_ > 0) buffer_ += "\n[" + std::to_string(std::exchange(lost_, 0)) + " bytes of output lost]\n";
  buffer_ += mender_.feed(text);
}

bool BuildLog::send() {
  const auto chunk = utf8::cut(buffer_, kChunk * 4);
  const std::size_t size = chunk.size();
  try {
    server_.postBuildLog(build_, chunk);
  } catch (const ServerRefused& error) {
    // An answer, and none that repeating would change: the build is gone, or its log is full.
    spdlog::debug("build log {}: {}", build_, textOf(error));
  } catch (const std::exception& error) {
    spdlog::debug("build log {}: {}", build_, textOf(error));
    due_ = Clock::now() + kLogRetry;
    return false;
  }
  buffer_.erase(0, size);
  due_ = Clock::now() + kLogDelay;
  return true;
}

void BuildLog::pump() {
  if (buffer_.empty() || (buffer_.size() < kChunk && Clock::now() < due_)) return;
  if (buffer_.size() >= kChunk && Clock::now() + kLogDelay < due_) return;  // the last try failed
  (void)send();
}

void BuildLog::finish() {
  buffer_ += mender_.end();
  const auto until = Clock::now() + kLogLast;
  while (!buffer_.empty() && Clock::now() < until) {
    if (!send()) std::this_thread::sleep_for(kLogRetry);
  }
}

BuildJob::BuildJob(BuildTask task, std::string directory, Runtime& runtime, const Server& server,
                   const std::atomic<bool>& cancelled)
    : task_(std::move(task)),
      directory_(std::move(directory)),
      runtime_(runtime),
      server_(server),
      cancelled_(cancelled),
      log_(server, task_.build.id) {}

BuildJob::~BuildJob() {
  for (const auto& digest : pinned_) runtime_.layers().unpin(digest);
}

void BuildJob::pin(const std::string& digest) {
  pinned_.push_back(digest);
  runtime_.layers().pin(digest);
}

Metered BuildJob::metered() const {
  return {task_.build.tenantId, task_.build.appId, task_.build.id, task_.build.limits.memoryBytes};
}

launcher::LaunchRequest BuildJob::request(const std::string& container, launcher::Confinement confinement) const {
  launcher::LaunchRequest request;
  request.instance = container;
  request.tenant = task_.tenant.index;
  request.confinement = confinement;
  request.layers = layers_;
  request.hostname = "build";
  request.workingDirectory = "/";
  request.limits = launcherLimits(task_.build.limits);
  return request;
}

void BuildJob::removeContainers(const std::string& container) {
  for (const auto& id : {container + kFreezing, container}) {
    if (auto done = runtime_.finish(id); !done) spdlog::warn("build {}: {}", id, done.error().message());
  }
}

model::BuildReport BuildJob::run() {
  model::BuildReport report;
  // What an earlier try left, which a kill of the node cut short.
  removeContainers(task_.build.id);
  for (const auto& step : task_.build.steps) removeContainers(stepId(step.index));
  std::error_code code;
  fs::remove_all(directory_, code);
  if (auto made = files::makeDirectories(directory_, 0700); !made) {
    report.failure = internal(made.error());
    return report;
  }
  report.failure = runAll(report);
  report.calls = numbersOf(calls_);
  if (report.failure.failed()) {
    log_.add("Failed: " + report.failure.detail + "\n");
  } else if (!cancelled_) {
    log_.add("Built " + report.slugDigest.substr(0, 12) + "\n");
  }
  log_.finish();
  return report;
}

Failure BuildJob::runAll(model::BuildReport& report) {
  const auto& build = task_.build;
  left_ = std::chrono::seconds(build.timeoutSeconds == 0 ? kDefaultSeconds : build.timeoutSeconds);
  layers_ = build.layers;
  layers_.push_back(build.baseDigest);
  for (const auto& digest : layers_) pin(digest);
  for (std::size_t i = 0; i < build.layers.size(); ++i) {
    auto& layer = report.layers.emplace_back();
    layer.step = static_cast<std::uint32_t>(build.layers.size() - 1 - i);
    layer.digest = build.layers[i];
    if (auto done = runtime_.layers().ensure({layer.digest}); !done) return internal(done.error());
    std::error_code code;
    if (const auto bytes = fs::file_size(runtime_.layers().path(layer.digest), code); !code) layer.bytes = bytes;
  }
  BuildPart part;
  part.first = build.doneCommands;
  part.stepped = part.first > 0 || !build.steps.empty();
  if (part.first > 0) {
    log_.add("The first " + std::to_string(part.first) + " of " + std::to_string(build.commands.size()) +
             " commands have not changed: what they made is used again\n");
  }
  for (const auto& step : build.steps) {
    part.count = std::min<std::size_t>(step.commands, build.commands.size() - part.first);
    part.source = !step.sourceDigest.empty();
    model::BuiltLayer layer;
    layer.step = step.index;
    if (auto failure = make(part, stepId(step.index), step.sourceDigest, layer); failure.failed()) return failure;
    if (cancelled_) return {};
    layers_.insert(layers_.begin(), layer.digest);
    report.layers.insert(report.layers.begin(), layer);
    part.first += part.count;
  }
  part.count = build.commands.size() - part.first;
  part.source = true;
  model::BuiltLayer slug;
  auto failure = make(part, build.id, build.sourceDigest, slug);
  report.slugDigest = slug.digest;
  report.slugBytes = slug.bytes;
  return failure;
}

Failure BuildJob::make(const BuildPart& part, const std::string& container, const std::string& source,
                       model::BuiltLayer& image) {
  if (part.source) {
    const FetchBlob fetch = [this](const std::string& digest, const BlobSink& sink) { server_.getBlob(digest, sink); };
    if (auto got = fetchBlob(fetch, source, directory_ + "/source"); !got) {
      return {"build_source_missing", got.error().message()};
    }
  }
  auto failure = runScript(part, container);
  // A command behind this part may install packages by the lists that are here.
  const auto& commands = task_.build.commands;
  const bool apt = std::any_of(commands.begin() + static_cast<std::ptrdiff_t>(part.first + part.count), commands.end(),
                               [](const std::string& command) { return command.find("apt") != std::string::npos; });
  if (!failure.failed() && !cancelled_) failure = freeze(container, apt ? kNotFrozenBeforeApt : kNotFrozen);
  removeContainers(container);
  if (!failure.failed() && !cancelled_) failure = publish(image);
  return failure;
}

Failure BuildJob::classify(const Ending& ending, const sandbox::Container& container, const StepFilter& filter) {
  if (ending.status == "exit 0") return {};
  const std::string how = filter.failureOf(ending.status);
  const int upper = container.descriptor(launcher::DescriptorKind::upper);
  std::optional<streams::Space> space;
  if (upper >= 0) {
    if (auto found = streams::freeSpace(upper)) space = found.value();
  }
  if (ending.oomKills > 0) {  // it may have hit a compiler long before make gave up
    return {"build_out_of_memory", how + ": " + memoryUsedUp(task_.build.limits.memoryBytes, space)};
  }
  if (space && (space->freeBytes < kFullBytes || space->freeInodes < kFullInodes)) {
    return {"build_disk_full", how + ": the build's disk of " + mebibytes(task_.build.limits.diskBytes) + " is full"};
  }
  if (ending.pidsLimit) {
    return {"build_pids_limit",
            how + ": the limit of " + std::to_string(task_.build.limits.pids) + " processes was reached"};
  }
  return {"build_failed", how};
}

Failure BuildJob::runScript(const BuildPart& part, const std::string& container) {
  const std::string nonce = Poco::UUIDGenerator::defaultGenerator().createRandom().toString();
  const auto script = buildScript(task_.build.commands, nonce, part);
  if (!script) return {"build_failed", "a build command contains a NUL byte"};
  auto source = files::openAt(AT_FDCWD, part.source ? directory_ + "/source" : "/dev/null", O_RDONLY);
  if (!source) return internal(source.error());
  auto status = streams::createFile(directory_ + "/status", 0600);
  if (!status) return internal(status.error());
  // Both ends of one pipe share no flags: ours does not block, the build's does.
  auto output = streams::makePipe(streams::Blocking::yes);
  if (!output) return internal(output.error());
  if (auto done = streams::openToAll(*output); !done) return internal(done.error());

  launcher::LaunchRequest launch = request(container, launcher::Confinement::build);
  launch.argv = {"/bin/sh", "-euc", *script};
  launch.environment = buildEnvironment(task_.build);
  launch.address = task_.build.address;
  narrow(launch, task_.build.callList);
  const sandbox::Standard standard{source->get(), output->writer.get(), output->writer.get(), status->get(), -1};
  auto started = runtime_.start(task_.tenant, launch, standard, metered());
  if (!started) return internal(started.error());
  output->writer.reset();
  if (auto done = streams::setNonBlocking(output->reader.get()); !done) return internal(done.error());

  StepFilter filter(task_.build.commands, nonce);
  const std::uint64_t seconds = task_.build.timeoutSeconds == 0 ? kDefaultSeconds : task_.build.timeoutSeconds;
  const auto begun = Clock::now();
  const End end = follow(
      *started, output->reader.get(), begun + left_, cancelled_,
      [&](std::string_view bytes) { log_.add(filter.feed(bytes)); }, [&] { log_.pump(); });
  log_.add(filter.end());
  left_ -= std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  if (end != End::ended) {
    runtime_.kill(container);
    awaitEnd(*started);
  }
  if (end == End::cancelled) return {"build_cancelled", "cancelled"};
  if (end == End::timeout) {
    return {"build_timeout", filter.failureOf("") + " within " + std::to_string(seconds) + " s"};
  }
  const std::string said = readStatus(directory_ + "/status");
  calls_ |= parseCalls(said);
  return classify(runtime_.ending(*started, parseStatus(said), Grace::lasts), *started, filter);
}

Failure BuildJob::freeze(const std::string& container, const std::string& leaveOut) {
  log_.add("Freezing\n");
  const std::string freezing = container + kFreezing;
  auto image = streams::createFile(slug(), 0666);  // the container's root is another user; the directory is 0700
  if (!image) return internal(image.error());
  auto status = streams::createFile(directory_ + "/status", 0600);
  if (!status) return internal(status.error());
  auto null = files::openAt(AT_FDCWD, "/dev/null", O_RDWR);
  if (!null) return internal(null.error());
  auto output = streams::makePipe(streams::Blocking::yes);
  if (!output) return internal(output.error());

  launcher::LaunchRequest launch = request(freezing, launcher::Confinement::freeze);
  launch.layers = {task_.build.baseDigest};
  launch.freezeOf = container;
  launch.argv = {"/usr/bin/mkfs.erofs", "--quiet",     "-zlz4", "-C16384", kImageUuid, leaveOut,
                 "/proc/self/fd/3",     "/upper/upper"};
  launch.environment = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8", kImageTimes};
  const sandbox::Standard standard{null->get(), output->writer.get(), output->writer.get(), status->get(),
                                   image->get()};
  auto started = runtime_.start(task_.tenant, launch, standard, metered());
  if (!started) return internal(started.error());
  output->writer.reset();
  if (auto done = streams::setNonBlocking(output->reader.get()); !done) return internal(done.error());
  std::string said;
  const End end = follow(
      *started, output->reader.get(), Clock::now() + kFreezeLimit, cancelled_,
      [&](std::string_view bytes) { said += bytes.substr(0, kChunk - std::min(kChunk, said.size())); },
      [&] { log_.pump(); });
  if (end != End::ended) {
    runtime_.kill(freezing);
    awaitEnd(*started);
    if (end == End::cancelled) return {"build_cancelled", "cancelled"};
    return {"build_timeout", "freezing the slug took too long"};
  }
  const Ending ending = runtime_.ending(*started, parseStatus(readStatus(directory_ + "/status")), Grace::lasts);
  if (ending.status == "exit 0") return {};
  if (ending.outOfMemory) return {"build_out_of_memory", "freezing the slug ran out of the build's memory"};
  return {"build_internal", "freezing the slug: " + describe(ending) + ": " + utf8::shortened(said, 500)};
}

Failure BuildJob::publish(model::BuiltLayer& image) {
  const std::string digest = sha256OfFile(slug());
  image.digest = digest;
  image.bytes = fs::file_size(slug());
  pin(digest);
  if (auto done = runtime_.layers().take(slug(), digest); !done) return internal(done.error());
  log_.add("Storing " + std::to_string(image.bytes >> 10U) + " KiB\n");
  std::string why;
  for (int attempt = 0; attempt < kPublishTries && !cancelled_; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(std::chrono::seconds(1U << static_cast<unsigned>(attempt)));
    try {
      if (!server_.hasBlob(digest)) server_.putBlob(digest, runtime_.layers().path(digest));
      return {};
    } catch (const ServerRefused& error) {
      if (error.status() == kTooLarge) return {"build_too_large", "the slug is larger than the server takes"};
      why = error.what();
    } catch (const std::exception& error) {
      why = textOf(error);
    }
    spdlog::warn("build {}: slug not stored: {}", task_.build.id, why);
  }
  return {"build_internal", "the slug could not be stored: " + why};
}

}  // namespace cloister::node
