#include "policy/model/apparmor_template.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

namespace cloister::policy {
namespace {

constexpr std::uint32_t kMagic = 0x1b5e783d;
constexpr std::uint32_t kMostShift = 9;
constexpr std::uint32_t kCharacters = 256;
constexpr std::size_t kAlignment = 8;
enum Table : std::size_t { base = 2, check = 3, fallback = 4, next = 8, tables = 9 };
enum class Tag : std::uint8_t {
  u8,
  u16,
  u32,
  u64,
  name,
  string,
  blob,
  structure,
  structureEnd,
  list,
  listEnd,
  array,
  arrayEnd
};

Error unexpected(std::string_view what) {
  return Error{"apparmor", std::string(what), "", EPROTO};
}

// Numbers at places of a text; what reaches beyond its end is no number.
class Bytes {
 public:
  explicit Bytes(std::string_view text) : text_(text) {}
  [[nodiscard]] bool has(std::size_t at, std::size_t size) const {
    return at <= text_.size() && size <= text_.size() - at;
  }
  [[nodiscard]] std::uint32_t little(std::size_t at, std::size_t size) const {
    std::uint32_t value = 0;
    for (std::size_t i = size; i > 0; --i) value = value << 8U | byte(at + i - 1);
    return value;
  }
  [[nodiscard]] std::uint32_t big(std::size_t at, std::size_t size) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8U | byte(at + i);
    return value;
  }

 private:
  [[nodiscard]] std::uint32_t byte(std::size_t at) const { return static_cast<unsigned char>(text_.at(at)); }
  std::string_view text_;
};

// One value of the outer format: where its contents lie and where the next value begins.
struct Item {
  Tag tag = Tag::u8;
  std::size_t at = 0;
  std::size_t size = 0;
};

std::optional<Item> itemAt(const Bytes& bytes, std::size_t at) {
  if (!bytes.has(at, 1)) return {};
  Item item{static_cast<Tag>(bytes.little(at, 1)), at + 1, 0};
  switch (item.tag) {
    case Tag::u8:
      item.size = 1;
      break;
    case Tag::u16:
    case Tag::array:
      item.size = 2;
      break;
    case Tag::u32:
      item.size = 4;
      break;
    case Tag::u64:
      item.size = 8;
      break;
    case Tag::name:
    case Tag::string:
      if (!bytes.has(item.at, 2)) return {};
      item.size = bytes.little(item.at, 2);
      item.at += 2;
      break;
    case Tag::blob:
      if (!bytes.has(item.at, 4)) return {};
      item.size = bytes.little(item.at, 4);
      item.at += 4;
      break;
    case Tag::structure:
    case Tag::structureEnd:
    case Tag::list:
    case Tag::listEnd:
    case Tag::arrayEnd:
      break;
    default:
      return {};
  }
  if (!bytes.has(item.at, item.size)) return {};
  return item;
}

bool opens(Tag tag) {
  return tag == Tag::structure || tag == Tag::list || tag == Tag::array;
}

bool closes(Tag tag) {
  return tag == Tag::structureEnd || tag == Tag::listEnd || tag == Tag::arrayEnd;
}

struct TableView {
  std::size_t at = 0;
  std::size_t width = 0;
  std::size_t count = 0;
};
using Tables = std::array<TableView, tables>;

// Empty: no automaton, or one with other tables than the kernel's.
std::optional<Tables> tablesAt(const Bytes& bytes, std::size_t at, std::size_t size) {
  if (size < 16 || bytes.big(at, 4) != kMagic) return {};
  const std::size_t header = bytes.big(at + 4, 4);
  const std::size_t end = bytes.big(at + 8, 4);
  if (end > size || header > end) return {};
  Tables found{};
  for (std::size_t place = header; place < end;) {
    if (end - place < 12) return {};
    const std::size_t kind = bytes.big(at + place, 2);
    const TableView table{at + place + 12, bytes.big(at + place + 2, 2), bytes.big(at + place + 8, 4)};
    if (table.width != 1 && table.width != 2 && table.width != 4) return {};
    if (table.count > (end - place - 12) / table.width) return {};
    if (kind < found.size()) found.at(kind) = table;
    place += (12 + table.width * table.count + kAlignment - 1) / kAlignment * kAlignment;
  }
  const bool whole = found[base].width == 4 && found[fallback].width == 2 && found[check].width == 2 &&
                     found[next].width == 2 && found[base].count == found[fallback].count &&
                     found[check].count == found[next].count;
  return whole ? std::optional(found) : std::nullopt;
}

}  // namespace

std::string tenantSuffix(TenantIndex tenant) {
  std::string digits = std::to_string(tenant);
  digits.insert(0, kTenantDigits - std::min(kTenantDigits, digits.size()), '0');
  return "-t" + digits;
}

Result<AppArmorTemplate> AppArmorTemplate::parse(std::string blob, std::size_t profiles) {
  AppArmorTemplate parsed(std::move(blob));
  std::size_t names = 0;
  std::size_t ruleSets = 0;
  std::size_t open = 0;  // structures, lists and arrays
  const Bytes bytes(parsed.blob_);
  for (std::size_t at = 0; at < parsed.blob_.size();) {
    const auto item = itemAt(bytes, at);
    if (!item) return unexpected("unknown tag or cut value");
    Status done;
    if (item->tag == Tag::string || item->tag == Tag::name) done = parsed.findNames(item->at, item->size, names);
    if (item->tag == Tag::blob) done = parsed.findPeers(item->at, item->size, ruleSets);
    if (!done) return done.error();
    if (opens(item->tag)) ++open;
    if (closes(item->tag) && open-- == 0) return unexpected("end of nothing");
    at = item->at + item->size;
  }
  if (open != 0) return unexpected("unknown tag or cut value");
  if (profiles == 0 || names != profiles) return unexpected("number of profiles for a tenant");
  if (ruleSets != profiles) return unexpected("number of rule sets with a tenant's peers");
  return parsed;
}

Status AppArmorTemplate::findNames(std::size_t at, std::size_t size, std::size_t& found) {
  const std::string_view text = std::string_view(blob_).substr(at, size);
  const auto hole = text.find(kTenantHole);
  if (hole == std::string_view::npos) return {};
  // "...-t99999\0" and nowhere else.
  if (hole < 2 || text.substr(hole - 2, 2) != "-t" || hole + kTenantDigits + 1 != size || text.back() != '\0') {
    return unexpected("tenant's number within a name");
  }
  for (std::size_t place = 0; place < kTenantDigits; ++place) characters_.push_back({at + hole + place, place, 0});
  ++found;
  return {};
}

Status AppArmorTemplate::findPeers(std::size_t at, std::size_t size, std::size_t& found) {
  const Bytes bytes(blob_);
  std::size_t padding = 0;
  while (padding < kAlignment - 1 && padding < size && bytes.little(at + padding, 1) == 0) ++padding;
  const auto automaton = tablesAt(bytes, at + padding, size - padding);
  if (!automaton) return unexpected("automaton");
  const auto& table = *automaton;
  const auto valueOf = [&](Table kind, std::size_t index) {
    return bytes.big(table.at(kind).at + index * table.at(kind).width, table.at(kind).width);
  };
  const std::size_t states = table[base].count;
  constexpr std::uint32_t kNone = 0;  // state 0 matches nothing
  std::vector<std::uint32_t> transitions(states, 0);
  std::vector<std::uint32_t> successor(states, kNone);
  std::vector<bool> follows(states, false);
  for (std::size_t entry = 0; entry < table[next].count; ++entry) {
    const std::size_t owner = valueOf(check, entry);
    if (owner >= states || valueOf(next, entry) >= states) return unexpected("transition");
    if (owner == kNone) continue;
    ++transitions[owner];
    if (entry == valueOf(base, owner) + std::size_t{'9'}) successor[owner] = valueOf(next, entry);
  }
  for (std::size_t state = 1; state < states; ++state) {
    if (transitions[state] != 1 || valueOf(fallback, state) != kNone) successor[state] = kNone;
    if (successor[state] != kNone) follows[successor[state]] = true;
  }
  std::size_t patched = 0;
  for (std::size_t first = 1; first < states; ++first) {
    if (successor[first] == kNone || follows[first]) continue;
    std::size_t place = 0;
    for (std::size_t state = first; successor[state] != kNone; state = successor[state], ++place) {
      const std::uint32_t now = valueOf(base, state);
      if (place == kTenantDigits) return unexpected("longer run of digits");
      if (now + kMostShift + kCharacters > table[next].count) return unexpected("no room for another digit");
      states_.push_back({table[base].at + state * table[base].width, place, now});
      ++patched;
    }
    if (place != kTenantDigits) return unexpected("shorter run of digits");
  }
  if (patched !=
      static_cast<std::size_t>(std::count_if(successor.begin(), successor.end(), [](auto s) { return s != kNone; }))) {
    return unexpected("runs of digits that meet");
  }
  found += patched > 0 ? 1 : 0;
  return {};
}

std::string AppArmorTemplate::forTenant(TenantIndex tenant) const {
  std::string filled = blob_;
  const std::string digits = tenantSuffix(tenant).substr(2);
  for (const auto& character : characters_) filled[character.offset] = digits.at(character.place);
  for (const auto& state : states_) {
    const std::uint32_t shifted = state.base + static_cast<std::uint32_t>('9' - digits.at(state.place));
    for (std::size_t i = 0; i < 4; ++i) filled[state.offset + i] = static_cast<char>(shifted >> (24 - 8 * i) & 0xffU);
  }
  return filled;
}

}  // namespace cloister::policy
