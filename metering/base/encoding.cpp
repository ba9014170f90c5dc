#include "metering/base/encoding.h"

namespace cloister::metering {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

void putSigned(wire::Writer& writer, std::int64_t value) {
  writer.put(static_cast<std::uint64_t>(value));
}
std::int64_t getSigned(wire::Reader& reader) {
  return static_cast<std::int64_t>(reader.get<std::uint64_t>());
}

void putRow(wire::Writer& writer, const UsageRow& row) {
  writer.put(row.tenantId);
  writer.put(row.appId);
  writer.put(row.instanceId);
  writer.put(row.meter);
  writer.put(row.quantity);
  putSigned(writer, row.from);
  putSigned(writer, row.to);
  writer.put(row.note);
}

UsageRow getRow(wire::Reader& reader) {
  UsageRow row;
  row.tenantId = reader.getString();
  row.appId = reader.getString();
  row.instanceId = reader.getString();
  row.meter = reader.getEnum(kLastMeter);
  row.quantity = reader.get<std::uint64_t>();
  row.from = getSigned(reader);
  row.to = getSigned(reader);
  row.note = reader.getString();
  return row;
}

std::string_view RowLists::add(const UsageRow& row) {
  if (lists_.empty() || lists_.back().rows == rowsOfAList_) lists_.emplace_back();
  auto& list = lists_.back();
  const auto before = list.writer.bytes().size();
  putRow(list.writer, row);
  ++list.rows;
  return std::string_view(list.writer.bytes()).substr(before);
}

std::vector<std::string> RowLists::encoded() const {
  std::vector<std::string> all;
  for (const auto& list : lists_) {
    wire::Writer front;
    front.put(kVersion);
    front.put(list.rows);
    all.push_back(front.bytes() + list.writer.bytes());
  }
  return all;
}

bool decodeRows(std::string_view bytes, std::vector<UsageRow>& rows) {
  wire::Reader reader(bytes);
  if (reader.get<std::uint8_t>() != kVersion) return false;
  const auto count = reader.get<std::uint32_t>();
  rows.clear();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) rows.push_back(getRow(reader));
  return reader.finish();
}

}  // namespace cloister::metering
