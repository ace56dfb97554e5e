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
  CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, role TEXT NOT NULL, datacenter TEXT NOT NULL,
    psk TEXT NOT NULL, verifier TEXT NOT NULL, created INTEGER NOT NULL, not_after INTEGER NOT NULL,
    used_by TEXT NOT NULL DEFAULT '', revoked INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE IF NOT EXISTS members (name TEXT PRIMARY KEY, role TEXT NOT NULL, datacenter TEXT NOT NULL,
    node_id TEXT NOT NULL, serial INTEGER NOT NULL, not_after INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS roster (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL);
)";

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::uint64_t number_column(sqlite3_stmt* statement, int column) {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement, column));
}

#define TOKEN_COLUMNS "id, role, datacenter, psk, verifier, created, not_after, used_by, revoked"

TokenRecord token_row(sqlite3_stmt* row) {
  return {text_column(row, 0),   text_column(row, 1), text_column(row, 2),
          text_column(row, 3),   text_column(row, 4), number_column(row, 5),
          number_column(row, 6), text_column(row, 7), number_column(row, 8) != 0};
}

/// A transaction that is undone unless it is committed.
class Transaction {
 public:
  explicit Transaction(sqlite3* database) : database_(database) {}
  ~Transaction() {
    if (begun_) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Status begin() {
    ATOLL_TRY(execute(database_, "BEGIN IMMEDIATE", {}));
    begun_ = true;
    return {};
  }
  Status commit() {
    ATOLL_TRY(execute(database_, "COMMIT", {}));
    begun_ = false;
    return {};
  }

 private:
  sqlite3* database_;
  bool begun_ = false;
};

/// Makes commits wait for the disk while it lives: a token that was used must stay so through a
/// loss of power.
class Durable {
 public:
  explicit Durable(sqlite3* database) : database_(database) { set("PRAGMA synchronous = FULL"); }
  ~Durable() { set("PRAGMA synchronous = NORMAL"); }
  Durable(const Durable&) = delete;
  Durable& operator=(const Durable&) = delete;

 private:
  void set(const char* pragma) { sqlite3_exec(database_, pragma, nullptr, nullptr, nullptr); }
  sqlite3* database_;
};

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

Status Store::add_token(const TokenRecord& token) {
  const Durable durable(database_);
  return execute(database_,
                 "INSERT INTO tokens (id, role, datacenter, psk, verifier, created, not_after) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?)",
                 {token.id, token.role, token.datacenter, token.psk, token.verifier,
                  number(token.created), number(token.not_after)});
}

Result<std::optional<TokenRecord>> Store::token(const std::string& id) const {
  std::optional<TokenRecord> found;
  ATOLL_TRY(execute(database_, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?", {id},
                    [&found](sqlite3_stmt* row) { found = token_row(row); }));
  return found;
}

Result<std::vector<TokenRecord>> Store::tokens() const {
  std::vector<TokenRecord> all;
  ATOLL_TRY(execute(database_, "SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY created, id", {},
                    [&all](sqlite3_stmt* row) { all.push_back(token_row(row)); }));
  return all;
}

Status Store::revoke_token(const std::string& id) {
  const Durable durable(database_);
  ATOLL_TRY(execute(database_,
                    "UPDATE tokens SET revoked = 1, psk = '' WHERE id = ? AND used_by = '' AND "
                    "revoked = 0",
                    {id}));
  if (sqlite3_changes(database_) == 1) return {};
  return Error{Code::kRefused, "token " + id,
               "is not known, or was used or revoked already; 'atoll token list' shows them"};
}

Status Store::use_token(const std::string& id, std::uint64_t unix_now, const MemberRecord& member) {
  const Durable durable(database_);
  Transaction transaction(database_);
  ATOLL_TRY(transaction.begin());
  // The psk goes: nobody can begin a handshake with a used token, not even a thief of the database.
  ATOLL_TRY(execute(database_,
                    "UPDATE tokens SET used_by = ?, psk = '' WHERE id = ? AND used_by = '' AND "
                    "revoked = 0 AND not_after >= ?",
                    {member.name, id, number(unix_now)}));
  if (sqlite3_changes(database_) != 1)
    return Error{Code::kRefused, "token " + id, "was used, revoked or expired in the meantime"};
  ATOLL_TRY(set_member(member));
  return transaction.commit();
}

Result<std::optional<MemberRecord>> Store::member(const std::string& name) const {
  std::optional<MemberRecord> found;
  ATOLL_TRY(execute(
      database_,
      "SELECT name, role, datacenter, node_id, serial, not_after FROM members WHERE name = ?",
      {name}, [&found](sqlite3_stmt* row) {
        found = MemberRecord{text_column(row, 0), text_column(row, 1),   text_column(row, 2),
                             text_column(row, 3), number_column(row, 4), number_column(row, 5)};
      }));
  return found;
}

Status Store::set_member(const MemberRecord& member) {
  return execute(database_,
                 "INSERT OR REPLACE INTO members (name, role, datacenter, node_id, serial, "
                 "not_after) VALUES (?, ?, ?, ?, ?, ?)",
                 {member.name, member.role, member.datacenter, member.node_id,
                  number(member.serial), number(member.not_after)});
}

Result<std::string> Store::roster() const {
  std::string text;
  ATOLL_TRY(execute(database_, "SELECT text FROM roster", {},
                    [&text](sqlite3_stmt* row) { text = text_column(row, 0); }));
  return text;
}

Status Store::set_roster(const std::string& text) {
  const Durable durable(database_);
  return execute(database_, "INSERT OR REPLACE INTO roster (one, text) VALUES (1, ?)", {text});
}

}  // namespace reef::service
