// Result<T>: a value, or an Error that says which stage and operation failed, on what, and with which errno.
//
// Threads: plain values; share them as you would share a std::string.
// Failures: reading value() of a failed Result, or error() of a good one, is a programming error and aborts.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace cloister {

// What went wrong. `stage` names the step as its owner does ("cgroup", "rootfs.pivot"), `operation` the call ("mount"),
// `path` the object, or the empty string, `code` an errno value or 0 when no system call failed.
struct Error {
  std::string stage;
  std::string operation;
  std::string path;
  int code = 0;

  // "stage: operation path: strerror"; stable enough for logs, not for programs.
  [[nodiscard]] std::string message() const;
};

// Error with the current errno. Call it before anything else can change errno.
[[nodiscard]] Error errnoError(std::string_view stage, std::string_view operation, std::string_view path = {});

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() & { return *checkedValue(); }
  [[nodiscard]] const T& value() const& { return *const_cast<Result*>(this)->checkedValue(); }
  [[nodiscard]] T&& value() && { return std::move(*checkedValue()); }
  [[nodiscard]] const Error& error() const {
    if (ok()) std::abort();
    return std::get<1>(state_);
  }
  T* operator->() { return checkedValue(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return *checkedValue(); }
  const T& operator*() const& { return value(); }

 private:
  T* checkedValue() {
    if (!ok()) std::abort();
    return &std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const {
    if (!failed_) std::abort();
    return error_;
  }

 private:
  Error error_;
  bool failed_ = false;
};

using Status = Result<void>;

}  // namespace cloister
