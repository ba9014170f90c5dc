// Encoding: the bytes of usage rows, little-endian as wire.h writes them.
//
// putRow() is part of the ledger's canonical encoding (ledger.h): it never changes. Lists of rows begin with a version
// byte. Threads: pure functions. Failures: getRow() leaves the reader failed, decodeRows() returns false on anything
// but exact bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "metering/base/usage.h"
#include "sandbox/base/wire.h"

namespace cloister::metering {

void putSigned(wire::Writer& writer, std::int64_t value);
[[nodiscard]] std::int64_t getSigned(wire::Reader& reader);

// str tenant, str app, str instance, u8 meter, u64 quantity, i64 from, i64 to, str note
void putRow(wire::Writer& writer, const UsageRow& row);
[[nodiscard]] UsageRow getRow(wire::Reader& reader);

// Rows in lists of a fixed length, encoded as they come.
class RowLists {
 public:
  explicit RowLists(std::size_t rowsOfAList) : rowsOfAList_(rowsOfAList) {}
  // The value, until the next add(): the row as putRow() writes it.
  std::string_view add(const UsageRow& row);
  // As decodeRows() takes them.
  [[nodiscard]] std::vector<std::string> encoded() const;
  void clear() { lists_.clear(); }

 private:
  struct List {
    std::uint32_t rows = 0;
    wire::Writer writer;
  };
  std::size_t rowsOfAList_;
  std::vector<List> lists_;
};
[[nodiscard]] bool decodeRows(std::string_view bytes, std::vector<UsageRow>& rows);

}  // namespace cloister::metering
