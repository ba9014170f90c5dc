#include "metering/readings/state_encoding.h"

#include <algorithm>

#include "metering/base/encoding.h"

namespace cloister::metering {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kGroupVersion =
    4;  // 1 had a link and its counters, and no `finished`; 2 no sums; 3 no levels away
// 1 had what the links had counted, 2 no group, 3 no dropped packets, 4 no sums.
constexpr std::uint8_t kTenantVersion = 5;

void putReading(wire::Writer& writer, const Reading& reading) {
  writer.put(reading.bootNanos);
  std::uint32_t present = 0;
  std::uint32_t bit = 1;
  forEachField(reading, [&](const std::optional<std::uint64_t>& field) {
    if (field) present |= bit;
    bit <<= 1U;
  });
  writer.put(present);
  forEachField(reading, [&](const std::optional<std::uint64_t>& field) {
    if (field) writer.put(*field);
  });
}

Reading getReading(wire::Reader& reader, std::uint8_t version) {
  constexpr std::uint32_t kLinkBytes = 1U << 5U;  // of version 1: both directions, and last of all the link's identity
  constexpr std::uint32_t kLinkIndex = 1U << 12U;
  Reading reading;
  reading.bootNanos = reader.get<std::uint64_t>();
  const auto present = reader.get<std::uint32_t>();
  const auto skip = [&](std::uint32_t bit) {
    if ((present & bit) != 0) (void)reader.get<std::uint64_t>();
  };
  std::uint32_t bit = 1;
  forEachField(reading, [&](std::optional<std::uint64_t>& field) {
    if (version == 1 && bit == kLinkIndex) return;  // the fields that it knew are over
    for (; version == 1 && (bit == kLinkBytes || bit == kLinkBytes << 1U); bit <<= 1U) skip(bit);
    if ((present & bit) != 0) field = reader.get<std::uint64_t>();
    bit <<= 1U;
  });
  if (version == 1) skip(kLinkIndex);
  return reading;
}

void putSums(wire::Writer& writer, const Sums& sums) {
  static_assert(kMeters <= 32);
  std::uint32_t present = 0;
  sums.each([&](Meter meter, std::uint64_t) { present |= 1U << static_cast<unsigned>(meter); });
  writer.put(present);
  sums.each([&](Meter, std::uint64_t quantity) { writer.put(quantity); });
}

Sums getSums(wire::Reader& reader) {
  Sums sums;
  const auto present = reader.get<std::uint32_t>();
  if (present >> (kMeters - 1) > 1) return reader.reject<Sums>();
  for (unsigned i = 0; i < kMeters; ++i) {
    if ((present >> i & 1U) != 0) sums.set(static_cast<Meter>(i), reader.get<std::uint64_t>());
  }
  return sums;
}

void putOwner(wire::Writer& writer, const Owner& owner) {
  writer.put(owner.tenantId);
  writer.put(owner.appId);
  writer.put(owner.instanceId);
}

Owner getOwner(wire::Reader& reader) {
  Owner owner;
  owner.tenantId = reader.getString();
  owner.appId = reader.getString();
  owner.instanceId = reader.getString();
  return owner;
}

}  // namespace

std::string encode(const GroupState& state) {
  wire::Writer writer;
  writer.put(kGroupVersion);
  putOwner(writer, state.owner);
  writer.put(state.bootId);
  writer.put(state.cgroupInode);
  writer.put(state.allocation.memoryBytes);
  putReading(writer, state.progress.last);
  writer.put(state.progress.memoryRemainder);
  writer.put(state.progress.diskRemainder);
  writer.put(state.progress.lifeRemainder);
  putSigned(writer, state.lastUtcMicros);
  putSigned(writer, state.closedUtcMicros);
  writer.put(static_cast<std::uint8_t>(state.finished));
  putSums(writer, state.sums);
  writer.put(static_cast<std::uint8_t>(state.progress.memoryAway));
  writer.put(static_cast<std::uint8_t>(state.progress.diskAway));
  return writer.bytes();
}

bool decode(std::string_view bytes, GroupState& state) {
  wire::Reader reader(bytes);
  const auto version = reader.get<std::uint8_t>();
  if (version == 0 || version > kGroupVersion) return false;
  state.owner = getOwner(reader);
  state.bootId = reader.getString();
  state.cgroupInode = reader.get<std::uint64_t>();
  state.allocation.memoryBytes = reader.get<std::uint64_t>();
  if (version == 1) (void)reader.getString();
  state.progress.last = getReading(reader, version);
  state.progress.memoryRemainder = reader.get<std::uint64_t>();
  state.progress.diskRemainder = reader.get<std::uint64_t>();
  state.progress.lifeRemainder = reader.get<std::uint64_t>();
  state.lastUtcMicros = getSigned(reader);
  state.closedUtcMicros = getSigned(reader);
  state.finished = version >= 2 && reader.get<std::uint8_t>() != 0;
  if (version >= 3) state.sums = getSums(reader);
  if (version >= 4) {
    state.progress.memoryAway = reader.get<std::uint8_t>() != 0;
    state.progress.diskAway = reader.get<std::uint8_t>() != 0;
  }
  return reader.finish();
}

std::string encode(const TenantCounters& state) {
  wire::Writer writer;
  writer.put(kTenantVersion);
  writer.put(state.bootId);
  writer.put(state.bytes.externalIn);
  writer.put(state.bytes.externalOut);
  writer.put(state.bytes.internalIn);
  writer.put(state.bytes.internalOut);
  writer.put(state.lastBootNanos);
  writer.put(state.groupInode);
  writer.put(state.groupCpu);
  writer.put(state.bytes.droppedPackets);
  putSums(writer, state.sums);
  writer.put(static_cast<std::uint8_t>(state.trafficBefore));
  writer.put(static_cast<std::uint8_t>(state.groupBefore));
  return writer.bytes();
}

bool decode(std::string_view bytes, TenantCounters& state) {
  wire::Reader reader(bytes);
  const auto version = reader.get<std::uint8_t>();
  if (version == 0 || version > kTenantVersion) return false;
  state.bootId = reader.getString();
  state.bytes.externalIn = reader.get<std::uint64_t>();
  state.bytes.externalOut = reader.get<std::uint64_t>();
  // What version 1 has here was owed by links; the internal counters begin with the launcher that made them.
  const auto third = reader.get<std::uint64_t>();
  const auto fourth = reader.get<std::uint64_t>();
  if (version >= 2) {
    state.bytes.internalIn = third;
    state.bytes.internalOut = fourth;
  }
  state.lastBootNanos = reader.get<std::uint64_t>();
  for (int link = 0; version == 1 && link < 2; ++link) (void)reader.get<std::uint64_t>();
  if (version >= 3) {
    state.groupInode = reader.get<std::uint64_t>();
    state.groupCpu = reader.get<std::uint64_t>();
  }
  if (version >= 4) state.bytes.droppedPackets = reader.get<std::uint64_t>();
  // Until then a group that was not seen yet was one that a former program did not look at.
  state.groupBefore = version < 5 && state.groupInode == 0;
  if (version >= 5) {
    state.sums = getSums(reader);
    state.trafficBefore = reader.get<std::uint8_t>() != 0;
    state.groupBefore = reader.get<std::uint8_t>() != 0;
  }
  return reader.finish();
}

std::string encode(const HostState& state) {
  wire::Writer writer;
  writer.put(kVersion);
  writer.put(state.bootId);
  writer.put(state.groupsInode);
  writer.put(state.groupsNanos);
  writer.put(state.totalNanos);
  return writer.bytes();
}

bool decode(std::string_view bytes, HostState& state) {
  wire::Reader reader(bytes);
  if (reader.get<std::uint8_t>() != kVersion) return false;
  state.bootId = reader.getString();
  state.groupsInode = reader.get<std::uint64_t>();
  state.groupsNanos = reader.get<std::uint64_t>();
  state.totalNanos = reader.get<std::uint64_t>();
  return reader.finish();
}

std::string encode(const AmountKey& key) {
  wire::Writer writer;
  writer.put(kVersion);
  putOwner(writer, key.owner);
  writer.put(key.meter);
  writer.put(key.note);
  return writer.bytes();
}

bool decode(std::string_view bytes, AmountKey& key) {
  wire::Reader reader(bytes);
  if (reader.get<std::uint8_t>() != kVersion) return false;
  key.owner = getOwner(reader);
  key.meter = reader.getEnum(kLastMeter);
  key.note = reader.getString();
  return reader.finish();
}

std::string encode(const Segment& segment) {
  wire::Writer writer;
  writer.put(kVersion);
  writer.put(segment.rows);
  writer.put(view(segment.hash));
  putSigned(writer, segment.from);
  putSigned(writer, segment.to);
  return writer.bytes();
}

bool decode(std::string_view bytes, Segment& segment) {
  wire::Reader reader(bytes);
  if (reader.get<std::uint8_t>() != kVersion) return false;
  segment.rows = reader.get<std::uint64_t>();
  const auto hash = reader.getString();
  segment.from = getSigned(reader);
  segment.to = getSigned(reader);
  if (hash.size() != segment.hash.size()) return false;
  std::copy(hash.begin(), hash.end(), segment.hash.begin());
  return reader.finish();
}

}  // namespace cloister::metering
