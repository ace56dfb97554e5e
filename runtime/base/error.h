#pragma once
// The one way in which anything in Atoll fails: a copyable Error in a Result<T>.
// No exception crosses a folder; third-party ones are caught at the call.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "runtime/base/check.h"

namespace reef {

/// A code exists only if somebody reacts to it; the rest is text. Codes are grouped by the largest
/// thing that has to be mended, and each group states the reaction.
enum class Code {
  // Input: the user mends it and runs again. Exit status 2.
  kUsage,       ///< command line
  kJobSyntax,   ///< descriptor is not readable YAML within its limits
  kJobField,    ///< unknown field, or a field of the wrong type
  kJobValue,    ///< a value that cannot be; the arithmetic is shown
  kJobGraph,    ///< the plan is not live
  kNoFit,       ///< no placement, or memory exceeded
  kData,        ///< token shards missing, empty or changed
  kCheckpoint,  ///< checkpoint unreadable; fall back to an earlier one
  kPath,        ///< a path that leaves its folder, or cannot be opened or created
  kKeyPerm,     ///< a secret's file is readable by others
  kAddressInUse,
  // Operation: it failed alone; the caller decides.
  kTimedOut,
  kClosed,     ///< the object was closed by its owner
  kCancelled,  ///< the user asked for the end
  kDecompress,
  kTensor,  ///< a shape, dtype or index that cannot be
  kPoison,  ///< NaN, infinity or an exploding update: quarantine
  kIo,
  // Link: reconnect or give the peer up.
  kPeerLost,  ///< a peer or its line is gone without a farewell
  kProto,     ///< a peer broke the protocol: close
  kRefused,   ///< authentication or policy says no. Exit status 4.
  kFenced,    ///< a message of a stale epoch
  // Ours: a bug.
  kInternal,
};

/// The stable name users and scripts see, "E_JOB_FIELD".
std::string_view code_name(Code code);

/// Reads back what Error::text() of another process printed; a line of another form is kInternal
/// with the line as its text.
struct Error;
Error parse_error(std::string_view line);

/// The process's exit status for a failure with this code:
/// 1 failed, 2 usage or bad input, 4 authentication.
int exit_status(Code code);

/// What went wrong, where, and what to do. Printed as `code: where: what`.
struct Error {
  Code code = Code::kInternal;
  std::string where;  ///< file:line, field path, peer or actor
  std::string what;   ///< one sentence; limit and hint follow after "; "

  std::string text() const;  ///< one line, whatever it quotes: one_line() of utf8.h
  bool operator==(const Error&) const = default;
};

/// A T or the Error that prevented it. Asking the wrong one is a bug and ends the process.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  /// A default T made in place, for those that are large.
  explicit Result(std::in_place_t) : state_(std::in_place_index<0>) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CHECK(ok()) << error().text();
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok()) << error().text();
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok()) << error().text();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    CHECK(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace reef

/// Returns the Error of `expression` from the enclosing function, if it has one.
#define ATOLL_TRY(expression)                                    \
  do {                                                           \
    auto atoll_try_status = (expression);                        \
    if (!atoll_try_status.ok()) return atoll_try_status.error(); \
  } while (false)

#define ATOLL_CONCAT_INNER(a, b) a##b
#define ATOLL_CONCAT(a, b) ATOLL_CONCAT_INNER(a, b)

/// `ATOLL_ASSIGN(auto x, f())`: x is f's value, or the enclosing function returns f's Error.
#define ATOLL_ASSIGN(declaration, expression) \
  ATOLL_ASSIGN_INNER(ATOLL_CONCAT(atoll_result_, __COUNTER__), declaration, expression)
#define ATOLL_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                               \
  if (!result.ok()) return result.error();                  \
  declaration = std::move(result).value()
