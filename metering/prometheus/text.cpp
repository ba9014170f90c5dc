#include "metering/prometheus/text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "sandbox/base/utf8.h"

namespace cloister::metering {
namespace {

constexpr std::array<std::uint64_t, 19> kPowers = [] {
  std::array<std::uint64_t, 19> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers.at(i) = powers.at(i - 1) * 10;
  return powers;
}();
constexpr double kTwoTo64 = 18446744073709551616.0;

template <typename T>
void appendChars(std::string& out, T value) {
  std::array<char, 32> text{};  // the longest double has 24 characters, the longest integer 20
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

// A NUL is written like a byte that is part of no letter.
std::size_t characterLength(std::string_view text) {
  return text.front() == '\0' ? 0 : utf8::letterAt(text, 0);
}

void appendEscaped(std::string& out, std::string_view text, bool quotes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  while (!text.empty()) {
    const auto length = characterLength(text);
    const char first = text.front();
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(first);
      out += "\\\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else if (first == '\n') {
      out += "\\n";
    } else if (first == '\\' || (first == '"' && quotes)) {
      out += '\\';
      out += first;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

const char* typeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Summary:
      return "summary";
    case prometheus::MetricType::Histogram:
      return "histogram";
    case prometheus::MetricType::Untyped:
      break;
  }
  return "untyped";
}

struct Extra {
  const char* name;
  double value;
};

// Name and labels, and the blank before the value.
void appendSeries(std::string& out, const std::string& name, const char* suffix,
                  const std::vector<prometheus::ClientMetric::Label>& labels, const Extra* extra = nullptr) {
  out += name;
  out += suffix;
  char before = '{';
  const auto begin = [&](std::string_view label) {
    out += before;
    out += label;
    out += "=\"";
    before = ',';
  };
  for (const auto& label : labels) {
    begin(label.name);
    appendLabelValue(out, label.value);
    out += '"';
  }
  if (extra != nullptr) {
    begin(extra->name);
    appendNumber(out, extra->value);
    out += '"';
  }
  out += before == ',' ? "} " : " ";
}

void appendValue(std::string& out, double value) {
  appendNumber(out, value);
  out += '\n';
}

void appendCount(std::string& out, std::uint64_t value) {
  appendInteger(out, value);
  out += '\n';
}

void appendHistogram(std::string& out, const std::string& name, const prometheus::ClientMetric& metric) {
  const auto& histogram = metric.histogram;
  bool whole = false;
  for (const auto& bucket : histogram.bucket) {
    const Extra bound{"le", bucket.upper_bound};
    appendSeries(out, name, "_bucket", metric.label, &bound);
    appendCount(out, bucket.cumulative_count);
    whole = whole || std::isinf(bucket.upper_bound);
  }
  if (!whole) {
    const Extra bound{"le", std::numeric_limits<double>::infinity()};
    appendSeries(out, name, "_bucket", metric.label, &bound);
    appendCount(out, histogram.sample_count);
  }
  appendSeries(out, name, "_sum", metric.label);
  appendValue(out, histogram.sample_sum);
  appendSeries(out, name, "_count", metric.label);
  appendCount(out, histogram.sample_count);
}

void appendSummary(std::string& out, const std::string& name, const prometheus::ClientMetric& metric) {
  for (const auto& quantile : metric.summary.quantile) {
    const Extra which{"quantile", quantile.quantile};
    appendSeries(out, name, "", metric.label, &which);
    appendValue(out, quantile.value);
  }
  appendSeries(out, name, "_sum", metric.label);
  appendValue(out, metric.summary.sample_sum);
  appendSeries(out, name, "_count", metric.label);
  appendCount(out, metric.summary.sample_count);
}

double valueOf(const prometheus::ClientMetric& metric, prometheus::MetricType type) {
  if (type == prometheus::MetricType::Counter) return metric.counter.value;
  return type == prometheus::MetricType::Gauge ? metric.gauge.value : metric.untyped.value;
}

}  // namespace

void appendNumber(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (std::trunc(value) == value && std::fabs(value) < kTwoTo64) {
    // The shortest text of a large integer is an exponent that reads back equal but shows other digits.
    if (value < 0) out += '-';
    appendInteger(out, static_cast<std::uint64_t>(std::fabs(value)));
  } else {
    appendChars(out, value);
  }
}

void appendInteger(std::string& out, std::uint64_t value) {
  appendChars(out, value);
}

void appendScaled(std::string& out, Quantity quantity, unsigned digits) {
  const auto power = kPowers.at(digits);
  std::uint64_t rest = 0;
  if (quantity <= std::numeric_limits<std::uint64_t>::max()) {
    const auto narrow = static_cast<std::uint64_t>(quantity);
    appendInteger(out, narrow / power);
    rest = narrow % power;
  } else {
    out += decimal(quantity / power);
    rest = static_cast<std::uint64_t>(quantity % power);
  }
  if (rest == 0) return;
  std::array<char, 20> text{'.'};
  std::size_t end = digits;
  for (auto at = end; at > 0; --at, rest /= 10) text.at(at) = static_cast<char>('0' + rest % 10);
  while (text.at(end) == '0') --end;
  out.append(text.data(), end + 1);
}

void appendLabelValue(std::string& out, std::string_view value) {
  appendEscaped(out, value, true);
}

void appendHead(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  out += "# HELP ";
  out += name;
  out += ' ';
  appendEscaped(out, help, false);
  out += "\n# TYPE ";
  out += name;
  out += ' ';
  out += type;
  out += '\n';
}

void appendFamilies(std::string& out, const std::vector<prometheus::MetricFamily>& families) {
  for (const auto& family : families) {
    appendHead(out, family.name, family.help, typeName(family.type));
    for (const auto& metric : family.metric) {
      if (family.type == prometheus::MetricType::Histogram) {
        appendHistogram(out, family.name, metric);
      } else if (family.type == prometheus::MetricType::Summary) {
        appendSummary(out, family.name, metric);
      } else {
        appendSeries(out, family.name, "", metric.label);
        appendValue(out, valueOf(metric, family.type));
      }
    }
  }
}

}  // namespace cloister::metering
