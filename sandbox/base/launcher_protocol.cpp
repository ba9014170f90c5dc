#include "sandbox/base/launcher_protocol.h"

#include <algorithm>
#include <array>

namespace cloister::launcher {
namespace {

using wire::Reader;
using wire::Writer;

enum class ReplyStatus : std::uint8_t { good, failed };

// One field's most, whatever the sender claims.
constexpr std::size_t kMostName = 64;
constexpr std::size_t kMostPath = 4096;
constexpr std::size_t kMostText = 1024;  // reasons and error texts
constexpr std::size_t kMostArguments = 256;
constexpr std::size_t kMostVariables = 1024;
constexpr std::size_t kMostLayers = 8;
constexpr std::size_t kMostDescriptors = 16;
constexpr std::size_t kMostChecks = 64;
constexpr std::size_t kUsageBytes = sizeof(TenantIndex) + 2 * sizeof(std::uint64_t);
constexpr std::size_t kMostUsages = (wire::kMaxMessage - sizeof(ReplyStatus) - sizeof(std::uint16_t)) / kUsageBytes;

Writer request(Verb verb) {
  Writer writer;
  writer.put(verb);
  return writer;
}

Writer reply(ReplyStatus status = ReplyStatus::good) {
  Writer writer;
  writer.put(status);
  return writer;
}

std::vector<std::string> getList(Reader& reader, std::size_t mostItems, std::size_t mostBytes) {
  auto list = reader.getStrings(mostItems);
  const bool fits = std::all_of(list.begin(), list.end(), [&](const auto& item) { return item.size() <= mostBytes; });
  return fits ? list : reader.reject<std::vector<std::string>>();
}

// A list of structs: u16 count, then `get` for each; stops at the first failure, so a wrong count costs nothing.
template <typename T, typename Get>
std::vector<T> getItems(Reader& reader, std::size_t most, const Get& get) {
  const auto count = reader.get<std::uint16_t>();
  if (count > most) return reader.reject<std::vector<T>>();
  std::vector<T> items;
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) items.push_back(get(reader));
  return items;
}

bool getBool(Reader& reader) {
  const auto raw = reader.get<std::uint8_t>();
  return raw > 1 ? reader.reject<bool>() : raw == 1;
}

void put(Writer& writer, const Limits& limits) {
  for (const std::uint64_t value :
       {limits.memoryBytes, limits.cpuMillis, limits.pids, limits.diskBytes, limits.inodes, limits.openFiles}) {
    writer.put(value);
  }
}

Limits getLimits(Reader& reader) {
  Limits limits;
  for (std::uint64_t* value :
       {&limits.memoryBytes, &limits.cpuMillis, &limits.pids, &limits.diskBytes, &limits.inodes, &limits.openFiles}) {
    *value = reader.get<std::uint64_t>();
  }
  return limits;
}

constexpr unsigned kWordBits = 64;

void put(Writer& writer, const CallSet& calls) {
  for (unsigned from = 0; from < kMostCalls; from += kWordBits) {
    std::uint64_t word = 0;
    for (unsigned bit = 0; bit < kWordBits; ++bit) word |= std::uint64_t{calls.test(from + bit)} << bit;
    writer.put(word);
  }
}

CallSet getCalls(Reader& reader) {
  CallSet calls;
  for (unsigned from = 0; from < kMostCalls; from += kWordBits) {
    const auto word = reader.get<std::uint64_t>();
    for (unsigned bit = 0; bit < kWordBits; ++bit) calls.set(from + bit, (word >> bit & 1U) != 0);
  }
  return calls;
}

void put(Writer& writer, const std::vector<DescriptorKind>& kinds) {
  writer.put(static_cast<std::uint16_t>(kinds.size()));
  for (const auto kind : kinds) writer.put(kind);
}

std::vector<DescriptorKind> getKinds(Reader& reader) {
  return getItems<DescriptorKind>(reader, kMostDescriptors,
                                  [](Reader& from) { return from.getEnum(kLastDescriptorKind); });
}

void put(Writer& writer, const Launched& launched) {
  writer.put(launched.instance);
  writer.put(launched.tenant);
  writer.put(launched.pid);
  writer.put(launched.cgroupInode);
  put(writer, launched.descriptors);
  writer.put(static_cast<std::uint16_t>(launched.stages.size()));
  for (const std::uint32_t micros : launched.stages) writer.put(micros);
}

Launched getLaunched(Reader& reader) {
  Launched launched;
  launched.instance = reader.getString(kMostName);
  launched.tenant = reader.get<TenantIndex>();
  launched.pid = reader.get<std::uint32_t>();
  launched.cgroupInode = reader.get<std::uint64_t>();
  launched.descriptors = getKinds(reader);
  launched.stages =
      getItems<std::uint32_t>(reader, kLaunchStages, [](Reader& from) { return from.get<std::uint32_t>(); });
  return launched;
}

std::string cut(const std::string& text, std::size_t most) {
  return text.substr(0, most);
}

}  // namespace

std::string encode(const LaunchRequest& launch) {
  Writer writer = request(Verb::launch);
  writer.put(launch.instance);
  writer.put(launch.tenant);
  writer.put(launch.confinement);
  writer.put(launch.layers);
  writer.put(launch.freezeOf);
  writer.put(launch.hostname);
  writer.put(launch.argv);
  writer.put(launch.environment);
  writer.put(launch.workingDirectory);
  writer.put(launch.address);
  put(writer, launch.limits);
  writer.put(launch.otherCalls);
  put(writer, launch.calls);
  return writer.bytes();
}

bool decode(Reader& reader, LaunchRequest& launch) {
  launch.instance = reader.getString(kMostName);
  launch.tenant = reader.get<TenantIndex>();
  launch.confinement = reader.getEnum(kLastConfinement);
  launch.layers = getList(reader, kMostLayers, kMostName);
  launch.freezeOf = reader.getString(kMostName);
  launch.hostname = reader.getString(kMostName);
  launch.argv = reader.getStrings(kMostArguments);
  launch.environment = reader.getStrings(kMostVariables);
  launch.workingDirectory = reader.getString(kMostPath);
  launch.address = reader.get<Ipv4>();
  launch.limits = getLimits(reader);
  launch.otherCalls = reader.getEnum(kLastOtherCalls);
  launch.calls = getCalls(reader);
  return reader.finish();
}

std::string encode(const ExecRequest& exec) {
  Writer writer = request(Verb::exec);
  writer.put(exec.instance);
  writer.put(exec.argv);
  writer.put(exec.environment);
  writer.put(exec.workingDirectory);
  writer.put(static_cast<std::uint8_t>(exec.terminal ? 1U : 0U));
  return writer.bytes();
}

bool decode(Reader& reader, ExecRequest& exec) {
  exec.instance = reader.getString(kMostName);
  exec.argv = reader.getStrings(kMostArguments);
  exec.environment = reader.getStrings(kMostVariables);
  exec.workingDirectory = reader.getString(kMostPath);
  exec.terminal = getBool(reader);
  return reader.finish();
}

std::string encode(const SignalRequest& signal) {
  Writer writer = request(Verb::signal);
  writer.put(signal.instance);
  writer.put(signal.signal);
  writer.put(signal.target);
  return writer.bytes();
}

bool decode(Reader& reader, SignalRequest& signal) {
  signal.instance = reader.getString(kMostName);
  signal.signal = reader.get<std::uint32_t>();
  signal.target = reader.getEnum(kLastSignalTarget);
  return reader.finish();
}

std::string encode(const RemoveRequest& remove) {
  Writer writer = request(Verb::remove);
  writer.put(remove.instance);
  return writer.bytes();
}

bool decode(Reader& reader, RemoveRequest& remove) {
  remove.instance = reader.getString(kMostName);
  return reader.finish();
}

std::string encode(const TenantPutRequest& tenant) {
  Writer writer = request(Verb::tenantPut);
  writer.put(tenant.tenant);
  for (const std::uint64_t value :
       {tenant.limits.memoryBytes, tenant.limits.cpuMillis, tenant.limits.pids, tenant.limits.networkBitsPerSecond,
        tenant.limits.memoryHighBytes, tenant.limits.cpuBurstMillis, tenant.limits.diskBytesPerSecond,
        tenant.limits.diskOperationsPerSecond}) {
    writer.put(value);
  }
  writer.put(tenant.egress);
  return writer.bytes();
}

bool decode(Reader& reader, TenantPutRequest& tenant) {
  tenant.tenant = reader.get<TenantIndex>();
  for (std::uint64_t* value :
       {&tenant.limits.memoryBytes, &tenant.limits.cpuMillis, &tenant.limits.pids, &tenant.limits.networkBitsPerSecond,
        &tenant.limits.memoryHighBytes, &tenant.limits.cpuBurstMillis, &tenant.limits.diskBytesPerSecond,
        &tenant.limits.diskOperationsPerSecond}) {
    *value = reader.get<std::uint64_t>();
  }
  tenant.egress = reader.getEnum(kLastEgress);
  return reader.finish();
}

std::string encode(const TenantRemoveRequest& tenant) {
  Writer writer = request(Verb::tenantRemove);
  writer.put(tenant.tenant);
  return writer.bytes();
}

bool decode(Reader& reader, TenantRemoveRequest& tenant) {
  tenant.tenant = reader.get<TenantIndex>();
  return reader.finish();
}

std::string encode(Verb layerVerb, const LayerRequest& layer) {
  Writer writer = request(layerVerb);
  writer.put(layer.digest);
  return writer.bytes();
}

bool decode(Reader& reader, LayerRequest& layer) {
  layer.digest = reader.getString(kMostName);
  return reader.finish();
}

std::string encode(Verb plain) {
  return request(plain).bytes();
}

std::string encode(const Launched& launched) {
  Writer writer = reply();
  put(writer, launched);
  return writer.bytes();
}

bool decode(Reader& reader, Launched& launched) {
  launched = getLaunched(reader);
  return reader.finish();
}

std::string encode(const Executed& executed) {
  Writer writer = reply();
  writer.put(executed.pid);
  return writer.bytes();
}

bool decode(Reader& reader, Executed& executed) {
  executed.pid = reader.get<std::uint32_t>();
  return reader.finish();
}

std::string encode(const TenantGroups& groups) {
  Writer writer = reply();
  writer.put(groups.cgroupInode);
  put(writer, groups.descriptors);
  return writer.bytes();
}

bool decode(Reader& reader, TenantGroups& groups) {
  groups.cgroupInode = reader.get<std::uint64_t>();
  groups.descriptors = getKinds(reader);
  return reader.finish();
}

std::string encode(const Recovered& recovered) {
  Writer writer = reply();
  writer.put(static_cast<std::uint16_t>(recovered.instances.size()));
  for (const auto& launched : recovered.instances) put(writer, launched);
  return writer.bytes();
}

bool decode(Reader& reader, Recovered& recovered) {
  recovered.instances = getItems<Launched>(reader, kRecoveredPerMessage, getLaunched);
  return reader.finish();
}

std::string encode(const NetworkUsageReply& usage) {
  Writer writer = reply();
  const std::size_t count = std::min(usage.tenants.size(), kMostUsages);
  writer.put(static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    writer.put(usage.tenants[i].tenant);
    writer.put(usage.tenants[i].externalReceivedBytes);
    writer.put(usage.tenants[i].externalSentBytes);
  }
  return writer.bytes();
}

bool decode(Reader& reader, NetworkUsageReply& usage) {
  usage.tenants = getItems<NetworkUsage>(reader, kMostUsages, [](Reader& from) {
    NetworkUsage one;
    one.tenant = from.get<TenantIndex>();
    one.externalReceivedBytes = from.get<std::uint64_t>();
    one.externalSentBytes = from.get<std::uint64_t>();
    return one;
  });
  return reader.finish();
}

std::string encode(const PostureReply& posture) {
  Writer writer = reply();
  writer.put(static_cast<std::uint16_t>(posture.checks.size()));
  for (const auto& check : posture.checks) {
    writer.put(check.name);
    writer.put(check.state);
    writer.put(cut(check.reason, kMostText));
  }
  return writer.bytes();
}

bool decode(Reader& reader, PostureReply& posture) {
  posture.checks = getItems<PostureCheck>(reader, kMostChecks, [](Reader& from) {
    PostureCheck check;
    check.name = from.getString(kMostName);
    check.state = from.getEnum(kLastCheckState);
    check.reason = from.getString(kMostText);
    return check;
  });
  return reader.finish();
}

std::string encode(const DenialsRequest& denials) {
  Writer writer = request(Verb::denials);
  writer.put(denials.since);
  return writer.bytes();
}

bool decode(Reader& reader, DenialsRequest& denials) {
  denials.since = reader.get<std::uint64_t>();
  return reader.finish();
}

std::string encode(const DenialsReply& list) {
  Writer writer = reply();
  writer.put(static_cast<std::uint16_t>(list.denials.size()));
  for (const auto& denial : list.denials) {
    writer.put(denial.sequence);
    writer.put(denial.tenant);
    for (const auto* text : {&denial.operation, &denial.target, &denial.program}) writer.put(*text);
  }
  return writer.bytes();
}

bool decode(Reader& reader, DenialsReply& list) {
  list.denials = getItems<Denial>(reader, kMostDenials, [](Reader& from) {
    Denial denial;
    denial.sequence = from.get<std::uint64_t>();
    denial.tenant = from.get<TenantIndex>();
    for (auto* text : {&denial.operation, &denial.target, &denial.program}) *text = from.getString(kMostDenialText);
    return denial;
  });
  return reader.finish();
}

std::string encodeDone() {
  return reply().bytes();
}

std::string encodeFailure(const Error& error) {
  Writer writer = reply(ReplyStatus::failed);
  writer.put(cut(error.stage, kMostText));
  writer.put(cut(error.operation, kMostText));
  writer.put(cut(error.path, kMostPath));
  writer.put(static_cast<std::uint32_t>(error.code));
  return writer.bytes();
}

bool decodeFailure(Reader& reader, Error& error) {
  error.stage = reader.getString(kMostText);
  error.operation = reader.getString(kMostText);
  error.path = reader.getString(kMostPath);
  error.code = static_cast<int>(reader.get<std::uint32_t>());
  return reader.finish();
}

}  // namespace cloister::launcher
