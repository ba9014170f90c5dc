#include "sandbox/base/launcher_protocol.h"

#include <algorithm>
#include <array>
#include <type_traits>

namespace cloister::launcher {
namespace {

using wire::Reader;
using wire::Writer;

// One field's most, whatever the sender claims.
constexpr std::size_t kMostName = 64;
constexpr std::size_t kMostPath = 4096;
constexpr std::size_t kMostVariables = 1024;
constexpr std::size_t kMostLayers = 8;

Writer request(Verb verb) {
  Writer writer;
  writer.put(verb);
  return writer;
}

std::vector<std::string> getList(Reader& reader, std::size_t mostItems, std::size_t mostBytes) {
  auto list = reader.getStrings(mostItems);
  const bool fits = std::all_of(list.begin(), list.end(), [&](const auto& item) { return item.size() <= mostBytes; });
  return fits ? list : reader.reject<std::vector<std::string>>();
}

// The fields in their order, for writing and reading alike.
template <typename L>
requires std::is_same_v<std::remove_const_t<L>, Limits>
auto fieldsOf(L& limits) {
  return std::array{&limits.memoryBytes, &limits.cpuMillis, &limits.pids,
                    &limits.diskBytes,   &limits.inodes,    &limits.openFiles};
}
template <typename L>
requires std::is_same_v<std::remove_const_t<L>, TenantLimits>
auto fieldsOf(L& limits) {
  return std::array{&limits.memoryBytes,
                    &limits.cpuMillis,
                    &limits.pids,
                    &limits.networkBitsPerSecond,
                    &limits.memoryHighBytes,
                    &limits.cpuBurstMillis,
                    &limits.diskBytesPerSecond,
                    &limits.diskOperationsPerSecond};
}

template <typename L>
void putLimits(Writer& writer, const L& limits) {
  for (const std::uint64_t* value : fieldsOf(limits)) writer.put(*value);
}
template <typename L>
void getLimits(Reader& reader, L& limits) {
  for (std::uint64_t* value : fieldsOf(limits)) *value = reader.get<std::uint64_t>();
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

void put(Writer& writer, TerminalSize terminal) {
  writer.put(terminal.rows);
  writer.put(terminal.columns);
}

TerminalSize getTerminal(Reader& reader) {
  TerminalSize terminal;
  terminal.rows = reader.get<std::uint16_t>();
  terminal.columns = reader.get<std::uint16_t>();
  return terminal;
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
  putLimits(writer, launch.limits);
  writer.put(launch.otherCalls);
  put(writer, launch.calls);
  writer.put(launch.writes);
  writer.put(launch.writable);
  put(writer, launch.terminal);
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
  getLimits(reader, launch.limits);
  launch.otherCalls = reader.getEnum(kLastOtherCalls);
  launch.calls = getCalls(reader);
  launch.writes = reader.getEnum(kLastWrites);
  launch.writable = getList(reader, kMostWritable, kMostPath);
  launch.terminal = getTerminal(reader);
  return reader.finish();
}

std::string encode(const ExecRequest& exec) {
  Writer writer = request(Verb::exec);
  writer.put(exec.instance);
  writer.put(exec.exec);
  writer.put(exec.argv);
  writer.put(exec.environment);
  writer.put(exec.workingDirectory);
  put(writer, exec.terminal);
  writer.put(exec.writes);
  writer.put(exec.writable);
  return writer.bytes();
}

bool decode(Reader& reader, ExecRequest& exec) {
  exec.instance = reader.getString(kMostName);
  exec.exec = reader.getString(kMostName);
  exec.argv = reader.getStrings(kMostArguments);
  exec.environment = reader.getStrings(kMostVariables);
  exec.workingDirectory = reader.getString(kMostPath);
  exec.terminal = getTerminal(reader);
  exec.writes = reader.getEnum(kLastWrites);
  exec.writable = getList(reader, kMostWritable, kMostPath);
  return reader.finish();
}

std::string encode(const EndExecRequest& end) {
  Writer writer = request(Verb::endExec);
  writer.put(end.instance);
  writer.put(end.exec);
  return writer.bytes();
}

bool decode(Reader& reader, EndExecRequest& end) {
  end.instance = reader.getString(kMostName);
  end.exec = reader.getString(kMostName);
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
  putLimits(writer, tenant.limits);
  writer.put(tenant.egress);
  return writer.bytes();
}

bool decode(Reader& reader, TenantPutRequest& tenant) {
  tenant.tenant = reader.get<TenantIndex>();
  getLimits(reader, tenant.limits);
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

std::string encode(const DenialsRequest& denials) {
  Writer writer = request(Verb::denials);
  writer.put(denials.since);
  return writer.bytes();
}

bool decode(Reader& reader, DenialsRequest& denials) {
  denials.since = reader.get<std::uint64_t>();
  return reader.finish();
}

std::string encode(const NetworkUsageRequest& usage) {
  Writer writer = request(Verb::networkUsage);
  writer.put(usage.after);
  return writer.bytes();
}

bool decode(Reader& reader, NetworkUsageRequest& usage) {
  usage.after = reader.get<TenantIndex>();
  return reader.finish();
}

}  // namespace cloister::launcher
