// A statement: one file with which a tenant checks an invoice offline, from the readings' rows to the last line.
//
// Text, one record a line, fields separated by tabs; a tab, line break or percent sign in a field is written %09, %0A,
// %0D, %25. In this order:
//
//   cloister-statement  2
//   tenant   ID  NAME
//   period   2026-11
//   key      PUBLIC-KEY                     Ed25519, of the provider
//   node     SOURCE  PUBLIC-KEY  SINCE      of each host whose seals are among the rows (seal.h); SINCE: as below
//   prices   JSON                           each price list that touches a month in question
//   event    NUMBER  AT  NOTE               life-cycle rows before the first row below
//   billed   JSON                           invoices that a correction here is a difference to
//   anchor   NUMBER  HASH                   the chain's hash before the first row; 0 and zeros at its start
//   batch    SOURCE  SEQUENCE  BOOT         what the rows below came in
//   row      NUMBER  APP  INSTANCE  METER  QUANTITY  FROM  TO  NOTE  HASH     FROM, TO: microseconds UTC
//   invoice  JSON
//   seal     DIGEST  SIGNATURE              SHA-256 of all lines before, and the key's signature of that
//
// A row ends with its hash in the chain (ledger.h); every other line but the seal with the first 16 digits of the
// SHA-256 of what stands before that. So the first line that does not hold can be named, and nothing holds that the key
// did not sign. Rows of meter `seal` are what the hosts that measured have signed of the rows before them: these hold
// also against whoever has the provider's key. Version 1, which is still verified, had no nodes.
// Threads: a writer belongs to one. Failures: the sink's are the caller's; see verify.h for reading.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "metering/base/seal.h"
#include "metering/base/sha256.h"
#include "metering/base/signing.h"
#include "metering/ledger/ledger_rows.h"
#include "metering/rating/invoice.h"

namespace cloister::metering {

class StatementWriter {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit StatementWriter(Sink sink);

  void begin(const Invoice& invoice, const std::string& publicKey);
  void node(const NodeKey& key);
  void prices(const PriceList& list);
  void event(std::uint64_t number, std::int64_t at, const std::string& note);
  void billed(const Invoice& invoice);
  void anchor(std::uint64_t number, std::string_view hash);
  void row(const ChainedRow& row);
  void end(const Invoice& invoice, const SigningKey& key);

 private:
  void record(std::initializer_list<std::string_view> fields);
  void line(std::string text);
  Sink sink_;
  Sha256 all_;
  Sha256 one_;
  std::string source_;
  std::uint64_t sequence_ = 0;
  std::string bootId_;
  bool inBatch_ = false;
};

inline constexpr std::size_t kLineCheck = 16;  // digits
[[nodiscard]] std::string escapeField(std::string_view text);

}  // namespace cloister::metering
