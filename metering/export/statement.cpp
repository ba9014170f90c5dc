#include "metering/export/statement.h"

namespace cloister::metering {
std::string escapeField(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\t' || c == '\n' || c == '\r' || c == '%') {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    } else {
      out += c;
    }
  }
  return out;
}

StatementWriter::StatementWriter(Sink sink) : sink_(std::move(sink)) {
  all_.begin();
}

void StatementWriter::line(std::string text) {
  text += '\n';
  all_.add(text);
  sink_(text);
}

void StatementWriter::record(std::initializer_list<std::string_view> fields) {
  std::string text;
  for (const auto field : fields) {
    text += text.empty() ? std::string(field) : '\t' + escapeField(field);
  }
  text += '\t';
  const auto check = hexadecimal(one_.begin().add(text).end()).substr(0, kLineCheck);
  line(text + check);
}

void StatementWriter::begin(const Invoice& invoice, const std::string& publicKey) {
  record({"cloister-statement", "2"});
  record({"tenant", invoice.tenantId, invoice.tenantName});
  record({"period", monthText(invoice.period)});
  record({"key", publicKey});
}

void StatementWriter::node(const NodeKey& key) {
  record({"node", key.source, key.publicKey, std::to_string(key.since)});
}

void StatementWriter::prices(const PriceList& list) {
  record({"prices", toJson(list)});
}

void StatementWriter::event(std::uint64_t number, std::int64_t at, const std::string& note) {
  record({"event", std::to_string(number), std::to_string(at), note});
}

void StatementWriter::billed(const Invoice& invoice) {
  record({"billed", toJson(invoice)});
}

void StatementWriter::anchor(std::uint64_t number, std::string_view hash) {
  record({"anchor", std::to_string(number), hexadecimal(hash)});
}

void StatementWriter::row(const ChainedRow& row) {
  if (!inBatch_ || row.source != source_ || row.sequence != sequence_ || row.bootId != bootId_) {
    record({"batch", row.source, std::to_string(row.sequence), row.bootId});
    source_ = row.source;
    sequence_ = row.sequence;
    bootId_ = row.bootId;
    inBatch_ = true;
  }
  std::string text = "row\t" + std::to_string(row.number);
  for (const auto& field :
       {row.row.appId, row.row.instanceId, std::string(meterName(row.row.meter)), std::to_string(row.row.quantity),
        std::to_string(row.row.from), std::to_string(row.row.to), row.row.note})
    text += '\t' + escapeField(field);
  line(text + '\t' + hexadecimal(row.hash));
}

void StatementWriter::end(const Invoice& invoice, const SigningKey& key) {
  record({"invoice", toJson(invoice)});
  const auto digest = hexadecimal(all_.end());
  sink_("seal\t" + digest + '\t' + key.sign(digest) + '\n');
}

}  // namespace cloister::metering
