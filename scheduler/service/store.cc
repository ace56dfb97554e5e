#include "scheduler/service/store.h"

#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <variant>

namespace reef::service {
namespace {

using Value = std::variant<std::int64_t, std::string>;

Error failure(sqlite3* database) {
  return {Code::kIo, "scheduler's database", sqlite3_errmsg(database)};
}

std::string text_column(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text == nullptr ? "" : text;
}

/// Runs one statement with bound values; `row` is called for every row.
Status execute(
    sqlite3* database, const char* sql, const std::vector<Value>& values,
    const std::function<void(sqlite3_stmt*)>& row = [](sqlite3_stmt*) {}) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &raw, nullptr) != SQLITE_OK) return failure(database);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int at = static_cast<int>(i) + 1;
    if (const auto* number = std::get_if<std::int64_t>(&values[i])) {
      sqlite3_bind_int64(raw, at, *number);
    } else {
      const auto& text = std::get<std::string>(values[i]);
      sqlite3_bind_text(raw, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }
  }
  int code = sqlite3_step(raw);
  for (; code == SQLITE_ROW; code = sqlite3_step(raw)) row(raw);
  if (code != SQLITE_DONE) return failure(database);
  return {};
}

constexpr const char* kSchema = R"(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, descriptor TEXT NOT NULL,
    run_folder TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', epoch INTEGER NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0, submitted TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE IF NOT EXISTS nodes (name TEXT PRIMARY KEY, datacenter TEXT NOT NULL, address TEXT NOT NULL,
    seen TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE IF NOT EXISTS lines (a TEXT NOT NULL, b TEXT NOT NULL, rate INTEGER NOT NULL, round_trip INTEGER NOT NULL,
    streams INTEGER NOT NULL, measured TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (a, b));
  CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL);
)";

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path) {
  sqlite3* database = nullptr;
  const int opened = sqlite3_open(path.c_str(), &database);
  std::unique_ptr<Store> store(new Store(database));
  if (opened != SQLITE_OK) return Error{Code::kPath, path.string(), sqlite3_errmsg(database)};
  sqlite3_busy_timeout(database, 2000);
  if (sqlite3_exec(database, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK)
    return failure(database);
  return store;
}

Store::~Store() { sqlite3_close(database_); }

Result<std::int64_t> Store::add_job(const std::string& name, const std::string& descriptor,
                                    const std::string& run_folder) {
  ATOLL_TRY(
      execute(database_,
              "INSERT INTO jobs (name, descriptor, run_folder, state) VALUES (?, ?, ?, 'waiting')",
              {name, descriptor, run_folder}));
  return sqlite3_last_insert_rowid(database_);
}

Status Store::set_job(std::int64_t id, const std::string& state, const std::string& reason,
                      std::uint64_t step) {
  return execute(database_, "UPDATE jobs SET state = ?, reason = ?, step = ? WHERE id = ?",
                 {state, reason, static_cast<std::int64_t>(step), id});
}

Result<std::uint64_t> Store::next_epoch(std::int64_t job) {
  ATOLL_TRY(execute(database_, "INSERT INTO epochs (job) VALUES (?)", {job}));
  const std::int64_t epoch = sqlite3_last_insert_rowid(database_);
  ATOLL_TRY(execute(database_, "UPDATE jobs SET epoch = ? WHERE id = ?", {epoch, job}));
  return static_cast<std::uint64_t>(epoch);
}

Status Store::add_node(const std::string& name, const std::string& datacenter,
                       const std::string& address) {
  return execute(database_,
                 "INSERT OR REPLACE INTO nodes (name, datacenter, address) VALUES (?, ?, ?)",
                 {name, datacenter, address});
}

Result<std::vector<JobRecord>> Store::jobs() const {
  std::vector<JobRecord> records;
  ATOLL_TRY(execute(
      database_, "SELECT id, name, state, reason, epoch, step, run_folder FROM jobs ORDER BY id",
      {}, [&records](sqlite3_stmt* row) {
        records.push_back(
            {sqlite3_column_int64(row, 0), text_column(row, 1), text_column(row, 2),
             text_column(row, 3), static_cast<std::uint64_t>(sqlite3_column_int64(row, 4)),
             static_cast<std::uint64_t>(sqlite3_column_int64(row, 5)), text_column(row, 6)});
      }));
  return records;
}

Status Store::set_line(const topology::Line& line) {
  return execute(
      database_,
      "INSERT OR REPLACE INTO lines (a, b, rate, round_trip, streams) VALUES (?, ?, ?, ?, ?)",
      {std::min(line.from, line.to), std::max(line.from, line.to),
       static_cast<std::int64_t>(line.rate), std::int64_t{line.round_trip.count()},
       std::int64_t{line.streams}});
}

Result<std::vector<topology::Line>> Store::lines() const {
  std::vector<topology::Line> lines;
  ATOLL_TRY(execute(database_, "SELECT a, b, rate, round_trip, streams FROM lines ORDER BY a, b",
                    {}, [&lines](sqlite3_stmt* row) {
                      lines.push_back(
                          {.from = text_column(row, 0),
                           .to = text_column(row, 1),
                           .rate = static_cast<double>(sqlite3_column_int64(row, 2)),
                           .round_trip = Duration(sqlite3_column_int64(row, 3)),
                           .streams = static_cast<std::uint16_t>(sqlite3_column_int64(row, 4))});
                    }));
  return lines;
}

}  // namespace reef::service
