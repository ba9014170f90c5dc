#include "metering/export/seal_check.h"

#include <algorithm>

#include "metering/base/calendar.h"
#include "metering/base/lifecycle.h"

namespace cloister::metering {

void SealCheck::list(const std::string& source, const std::string& publicKey) {
  sources_[source].keys.insert(publicKey);
}

void SealCheck::source(const std::string& name) {
  if (now_ != nullptr && name == name_) return;
  name_ = name;
  now_ = &sources_[name];
  ownRows_ = name == kControlPlane;
}

std::string SealCheck::row(std::uint64_t number, const UsageRow& row, std::string_view encoded) {
  if (row.meter == Meter::seal) return seal(number, row);
  // It measures nothing on hosts: other rows in its name are some that no host vouches for.
  if (ownRows_ && isControlPlanes(row.meter)) {
    ++counts_.own;
    return "";
  }
  latest_ = std::max(latest_, row.to);
  if (now_->held.size() == 2 * kMostSealed) forgetOldest();
  now_->bytes += encoded;
  now_->held.push_back({number, row.from, now_->bytes.size()});
  return "";
}

std::string SealCheck::seal(std::uint64_t number, const UsageRow& row) {
  const auto name = "row " + std::to_string(number) + ": ";
  const auto seal = parseSeal(row.note);
  if (!seal || row.quantity == 0 || row.quantity > kMostSealed) return name + "is not written as a host's seal must be";
  ++counts_.seals;
  const auto& keys = trusted_.empty() ? now_->keys : trusted_;
  const auto key =
      std::find_if(keys.begin(), keys.end(), [&](const std::string& one) { return keyIdOf(one) == seal->keyId; });
  if (key == keys.end()) {
    ++counts_.untrusted;
    return "";
  }
  if (!isSealedBy(*key, name_, row, *seal)) return name + "the signature of the seal of " + name_ + " does not hold";
  if (!now_->seen.insert(seal->hash).second) return name + "this seal of " + name_ + " was there before";
  auto& held = now_->held;
  if (row.quantity > held.size()) {
    const auto finding = name + name_ + " sealed " + std::to_string(row.quantity) + " rows, and " +
                         std::to_string(held.size()) + " of them are here";
    if (now_->cut) return finding;
    if (row.from > cutFrom_) {
      cutFrom_ = row.from;
      cutFinding_ = finding;
    }
    bare(held.size());
  } else {
    const auto first = held.size() - static_cast<std::size_t>(row.quantity);
    if (hashFrom(first) != seal->hash)
      return "rows " + std::to_string(held[first].number) + " to " + std::to_string(held.back().number) + " of " +
             name_ + " are not what it sealed with row " + std::to_string(number);
    bare(first);
    counts_.sealed += row.quantity;
  }
  held.clear();
  now_->bytes.clear();
  now_->cut = true;
  return "";
}

std::string SealCheck::hashFrom(std::size_t first) {
  const std::string_view bytes = now_->bytes;
  Hash hash{};
  auto begin = first == 0 ? 0 : now_->held[first - 1].end;
  for (auto i = first; i < now_->held.size(); ++i) {
    hash = sealHash(sha_, hash, bytes.substr(begin, now_->held[i].end - begin));
    begin = now_->held[i].end;
  }
  return hexadecimal(hash);
}

void SealCheck::bare(std::size_t rows) {
  if (rows == 0) return;
  const auto first = now_->held.front().number;
  counts_.firstBare = counts_.bare == 0 ? first : std::min(counts_.firstBare, first);
  counts_.bare += rows;
}

void SealCheck::forgetOldest() {
  bare(kMostSealed);
  auto& held = now_->held;
  const auto bytes = held[kMostSealed - 1].end;
  now_->bytes.erase(0, bytes);
  held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(kMostSealed));
  for (auto& one : held) one.end -= bytes;
  now_->cut = true;
}

std::string SealCheck::end(std::int64_t begin) {
  for (auto& [name, one] : sources_) {
    now_ = &one;
    const auto open = std::find_if(one.held.begin(), one.held.end(),
                                   [&](const Held& row) { return hourOf(row.from) >= hourOf(latest_ - 1); });
    bare(static_cast<std::size_t>(open - one.held.begin()));
    counts_.open += static_cast<std::uint64_t>(one.held.end() - open);
  }
  return cutFrom_ >= begin ? cutFinding_ : "";
}

}  // namespace cloister::metering
