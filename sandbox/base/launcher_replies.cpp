// The launcher's half: replies. Requests are in launcher_protocol.cpp.
#include <array>
#include <cstddef>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/utf8.h"

namespace cloister::launcher {
namespace {

using wire::Reader;
using wire::Writer;

enum class ReplyStatus : std::uint8_t { good, failed };

// One field's most, whatever the sender claims.
constexpr std::size_t kMostName = 64;
constexpr std::size_t kMostPath = 4096;
constexpr std::size_t kMostText = 1024;  // reasons and error texts
constexpr std::size_t kMostDescriptors = 16;
constexpr std::size_t kMostChecks = 64;
static_assert(kUsagesPerReply * (sizeof(TenantIndex) + 5 * sizeof(std::uint64_t)) + sizeof(ReplyStatus) +
                  sizeof(std::uint16_t) <=
              wire::kMaxMessage);

Writer reply(ReplyStatus status = ReplyStatus::good) {
  Writer writer;
  writer.put(status);
  return writer;
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

}  // namespace

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
  const std::size_t count = std::min(usage.tenants.size(), kUsagesPerReply);
  writer.put(static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    writer.put(usage.tenants[i].tenant);
    writer.put(usage.tenants[i].externalReceivedBytes);
    writer.put(usage.tenants[i].externalSentBytes);
    writer.put(usage.tenants[i].internalReceivedBytes);
    writer.put(usage.tenants[i].internalSentBytes);
    writer.put(usage.tenants[i].droppedPackets);
  }
  return writer.bytes();
}

bool decode(Reader& reader, NetworkUsageReply& usage) {
  usage.tenants = getItems<NetworkUsage>(reader, kUsagesPerReply, [](Reader& from) {
    NetworkUsage one;
    one.tenant = from.get<TenantIndex>();
    one.externalReceivedBytes = from.get<std::uint64_t>();
    one.externalSentBytes = from.get<std::uint64_t>();
    one.internalReceivedBytes = from.get<std::uint64_t>();
    one.internalSentBytes = from.get<std::uint64_t>();
    one.droppedPackets = from.get<std::uint64_t>();
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
    writer.put(utf8::cut(check.reason, kMostText));
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
  writer.put(utf8::cut(error.stage, kMostText));
  writer.put(utf8::cut(error.operation, kMostText));
  writer.put(utf8::cut(error.path, kMostPath));
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
