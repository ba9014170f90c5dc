// The app manifest: cloister.toml, or a Procfile where that is absent, parsed once into model::Manifest.
//
// Everything in it is the tenant's: what is no UTF-8 is refused by its line, unknown keys are errors, names are labels,
// sizes are bounded, nothing is guessed.
// Threads: pure functions. Failures: ManifestError naming the field.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/model/model.h"

namespace cloister::builds {

// API: 422, code "invalid_manifest".
class ManifestError : public std::runtime_error {
 public:
  // The text names "limits.memory" as it stands in the file, "[limits] memory".
  ManifestError(std::string field, const std::string& detail);
  [[nodiscard]] const std::string& field() const { return field_; }  // "limits.memory"
  [[nodiscard]] const std::string& detail() const { return detail_; }

 private:
  std::string field_;
  std::string detail_;
};

inline constexpr std::size_t kMaxManifestBytes = 64UL * 1024;

[[nodiscard]] model::Manifest parseManifest(const std::string& toml);
// "name: command" lines; the build has no commands.
[[nodiscard]] model::Manifest parseProcfile(const std::string& bytes);
// Chooses: cloister.toml when there is one (its [processes] may come from the Procfile beside it), else the Procfile;
// neither is an error of field "cloister.toml".
[[nodiscard]] model::Manifest manifestOf(const std::optional<std::string>& toml,
                                         const std::optional<std::string>& procfile);

// "256M", "1G", "65536", "64K", "512MiB": bytes. ManifestError with `field` otherwise.
[[nodiscard]] std::uint64_t parseSize(const std::string& text, const std::string& field);

// "10s", "500ms", "2m": milliseconds, 5 minutes at most. ManifestError with `field` otherwise.
[[nodiscard]] std::int64_t parseSettle(const std::string& text, const std::string& field);

}  // namespace cloister::builds
