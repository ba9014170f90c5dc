#include "metering/base/seal.h"

#include <gtest/gtest.h>

#include "metering/base/batch_json.h"

namespace cloister::metering {
namespace {

const SigningKey kKey = SigningKey::fromSeed(std::string(32, 'h')).value();

std::vector<UsageRow> threeRows() {
  return {{"tn-1", "ap-1", "in-1", Meter::cpu, 5, 100, 200, ""},
          {"tn-1", "", "", Meter::networkExternalIn, 6, 90, 110, ""},
          {"tn-1", "", "", Meter::gap, 7, 150, 300, "note"}};
}

UsageRow sealed(const std::vector<UsageRow>& rows) {
  Sha256 sha;
  Segment segment;
  for (const auto& row : rows) cover(sha, segment, row);
  return sealRow(kKey, "nd-1", "tn-1", segment);
}

bool holds(const UsageRow& row, const std::string& source = "nd-1") {
  const auto seal = parseSeal(row.note);
  return seal && isSealedBy(kKey.publicKey(), source, row, *seal);
}

TEST(Seal, IsARowThatSaysWhatItCovers) {
  const auto row = sealed(threeRows());
  EXPECT_EQ(row.tenantId, "tn-1");
  EXPECT_EQ(row.meter, Meter::seal);
  EXPECT_EQ(row.quantity, 3U);
  EXPECT_EQ(row.from, 90);
  EXPECT_EQ(row.to, 300);
  EXPECT_EQ(row.note.substr(0, kKeyIdDigits), keyIdOf(kKey.publicKey()));
  EXPECT_TRUE(holds(row));
  EXPECT_FALSE(isBillable(Meter::seal));
  EXPECT_LE(row.note.size(), kMaxText) << "it must go through the batch's JSON";
}

// The format is for ever: what hosts have signed must still be verified.
TEST(Seal, TheHashOfThreeRowsIsThis) {
  EXPECT_EQ(parseSeal(sealed(threeRows()).note)->hash,
            "ed705a255b66679e5393d324113ab7d1b21e24b6ffce149ecbe5521db8efc005");
}

TEST(Seal, EachRowAndTheirOrderCount) {
  const auto hash = parseSeal(sealed(threeRows()).note)->hash;
  auto rows = threeRows();
  std::swap(rows[0], rows[1]);
  EXPECT_NE(parseSeal(sealed(rows).note)->hash, hash);
  for (auto& row : rows = threeRows()) {
    ++row.quantity;
    EXPECT_NE(parseSeal(sealed(rows).note)->hash, hash);
    --row.quantity;
  }
  rows.pop_back();
  EXPECT_NE(parseSeal(sealed(rows).note)->hash, hash);
}

TEST(Seal, WhatItSaysIsSigned) {
  const auto good = sealed(threeRows());
  auto row = good;
  row.quantity = 2;
  EXPECT_FALSE(holds(row));
  row = good;
  row.from -= 1;
  EXPECT_FALSE(holds(row));
  row = good;
  row.to += 1;
  EXPECT_FALSE(holds(row));
  row = good;
  row.tenantId = "tn-2";
  EXPECT_FALSE(holds(row));
  EXPECT_FALSE(holds(good, "nd-2"));
  for (std::size_t at = 0; at < good.note.size(); ++at) {
    row = good;
    row.note[at] = row.note[at] == '0' ? '1' : '0';
    EXPECT_FALSE(holds(row)) << at;
  }
}

TEST(Seal, OtherFormsAreNone) {
  const auto note = sealed(threeRows()).note;
  for (const std::string& bad : {std::string(), std::string("x"), note + ' ', ' ' + note, note.substr(1),
                                 std::string(note.size(), ' '), std::string(note.size(), 'a')}) {
    EXPECT_FALSE(parseSeal(bad)) << bad;
  }
  auto upper = note;
  upper.replace(0, 1, "A");
  EXPECT_FALSE(parseSeal(upper));
}

}  // namespace
}  // namespace cloister::metering
