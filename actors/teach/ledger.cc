#include "actors/teach/ledger.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/base/bytes.h"

namespace reef::actors {

Result<PrivacyLedger> PrivacyLedger::open(const std::filesystem::path& model) {
  const std::filesystem::path path = model / "privacy.json";
  auto lock = FileLock::take(path.string() + ".lock", Duration{});
  if (!lock.ok()) {
    if (lock.error().code != Code::kTimedOut) return lock.error();
    return Error{
        Code::kRefused, path.string(),
        "another service with noise serves this model; one account has one service, so end "
        "that one first"};
  }
  PrivacyLedger ledger(path, std::move(*lock));
  ATOLL_TRY(ledger.read());
  // A service that could not keep its account must not begin.
  ATOLL_TRY(ledger.keep(0, 0));
  return ledger;
}

Status PrivacyLedger::read() {
  if (!std::filesystem::exists(path_)) return {};
  constexpr std::size_t kMostBytes = 4096;
  ATOLL_ASSIGN(const std::string text, read_file(path_, kMostBytes));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool whole = json.is_object() && json.contains("rho") && json.contains("positions") &&
                     json["rho"].is_number() && json["positions"].is_number_unsigned();
  if (whole && json["rho"] >= 0 && std::isfinite(json["rho"].get<double>())) {
    rho_ = json["rho"].get<double>();
    positions_ = json["positions"].get<std::uint64_t>();
    return {};
  }
  return Error{Code::kData, path_.string(),
               "is no account of what was let out of the model; put the right one back, since "
               "without it nobody knows what was"};
}

Status PrivacyLedger::keep(double rho, std::uint64_t positions) const {
  const nlohmann::ordered_json json{{"rho", rho_ + rho}, {"positions", positions_ + positions}};
  const std::string text = json.dump() + "\n";
  return write_file(path_, as_bytes(std::string_view(text)));
}

}  // namespace reef::actors
