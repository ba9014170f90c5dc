// Why the control plane refuses a request, as exceptions that the API turns into problem+json without reading their
// text.
//
// Threads and failures: values.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/model/limit_names.h"

namespace cloister::store {

// What kind of refusal: notFound 404, conflict 409, stale 412 (If-Match), invalid 422, quota 403.
enum class RefusalKind { notFound, conflict, stale, invalid, quota };

// `code` is stable ("tenant_not_found", "name_taken", "quota_exceeded"); `field` is the request's field, may be empty;
// what() is for a person.
class Refusal : public std::runtime_error {
 public:
  Refusal(RefusalKind kind, std::string code, std::string field, const std::string& detail)
      : std::runtime_error(detail), kind_(kind), code_(std::move(code)), field_(std::move(field)) {}
  [[nodiscard]] RefusalKind kind() const { return kind_; }
  [[nodiscard]] const std::string& code() const { return code_; }
  [[nodiscard]] const std::string& field() const { return field_; }

 private:
  RefusalKind kind_;
  std::string code_;
  std::string field_;
};

class NotFound : public Refusal {
 public:
  // `noun` is "tenant", "app", ...; the code becomes "<noun>_not_found".
  NotFound(const std::string& noun, const std::string& name)
      : Refusal(RefusalKind::notFound, noun + "_not_found", noun, "no " + noun + " \"" + name + "\"") {}
};

class Conflict : public Refusal {
 public:
  Conflict(std::string code, std::string field, const std::string& detail)
      : Refusal(RefusalKind::conflict, std::move(code), std::move(field), detail) {}
};

class Stale : public Refusal {
 public:
  explicit Stale(std::int64_t current)
      : Refusal(RefusalKind::stale, "revision_mismatch", "If-Match",
                "it was changed meanwhile; its revision is " + std::to_string(current)) {}
};

class Invalid : public Refusal {
 public:
  Invalid(std::string field, const std::string& detail, std::string code = "invalid_field")
      : Refusal(RefusalKind::invalid, std::move(code), std::move(field), detail) {}
};

// Code "quota_exceeded". `limit` names the plan's limit ("memoryBytes"), `available` is what is left of it. In the text
// stands what the caller typed: the manifest's "[limits] memory" when `field` is "limits.memory", else "memory".
class QuotaExceeded : public Refusal {
 public:
  QuotaExceeded(std::string limit, const std::string& field, std::uint64_t asked, std::uint64_t available,
                const std::string& plan)
      : Refusal(RefusalKind::quota, "quota_exceeded", field,
                (field.starts_with("limits.") ? "[limits] " : "") + model::limitTyped(limit) + ": " +
                    model::limitAmount(limit, asked) + " asked, " + model::limitAmount(limit, available) + " left of " +
                    (plan.empty() ? "the plan" : "plan " + plan)),
        limit_(std::move(limit)),
        asked_(asked),
        available_(available) {}
  [[nodiscard]] const std::string& limit() const { return limit_; }
  [[nodiscard]] std::uint64_t asked() const { return asked_; }
  [[nodiscard]] std::uint64_t available() const { return available_; }

 private:
  std::string limit_;
  std::uint64_t asked_;
  std::uint64_t available_;
};

}  // namespace cloister::store
