#include <algorithm>
#include <fstream>
#include <thread>

#include "runtime/base/file.h"
#include "security/audit/log.h"
#include "security/audit/throttle.h"
#include "security/audit/verify.h"
#include "tests/unit/scratch_folder.h"

namespace reef::security {
namespace {

class Audit : public testing::Test {
 protected:
  std::unique_ptr<AuditLog> open() {
    auto log = AuditLog::open(path_, key_, [this] { return now_; });
    EXPECT_TRUE(log.ok()) << log.error().text();
    return log.ok() ? std::move(*log) : nullptr;
  }
  void write(int events) {
    const auto log = open();
    for (int i = 0; i < events; ++i) log->append("enrolled", "node", std::to_string(i));
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    const std::string text = read_file(path_).value();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at) + 1;
      out.push_back(text.substr(at, end - at));
      at = end;
    }
    return out;
  }
  void put(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line;
    put_text(text);
  }
  /// Without waiting for the disk, as a forger would.
  void put_text(const std::string& text) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << text;
  }
  Result<AuditHead> verify() const { return verify_audit_log(path_, key_->identity_key()); }
  /// The file name and number of the first bad line.
  void expect_bad(std::size_t line, const std::string& what) {
    const auto verdict = verify();
    ASSERT_FALSE(verdict.ok()) << what;
    EXPECT_EQ(verdict.error().code, Code::kData);
    EXPECT_EQ(verdict.error().where, path_.string() + ":" + std::to_string(line)) << what;
  }

  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "audit.log";
  std::shared_ptr<const NodeKey> key_ = std::make_shared<const NodeKey>(NodeKey::generate());
  std::uint64_t now_ = 1'767'225'599;
};

TEST_F(Audit, IsGoodAsItWasWritten) {
  write(0);
  EXPECT_EQ(verify().value().lines, 0u);
  write(3);
  write(2);  // another process, later
  EXPECT_EQ(verify().value().lines, 5u);
  const auto line = parse_audit_line(lines()[4]).value();
  EXPECT_EQ(line.number, 5u);
  EXPECT_EQ(line.time, "2025-12-31T23:59:59Z");
  EXPECT_EQ(line.event.kind, "enrolled");
  EXPECT_EQ(line.event.detail, "1");
}

TEST_F(Audit, FindsEveryFlippedBit) {
  write(3);
  const std::string good = read_file(path_).value();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    put_text(bad);
    EXPECT_FALSE(verify().ok()) << bit;
  }
}

TEST_F(Audit, NamesTheLineAfterWhichSomethingWasDone) {
  write(6);
  const auto good = lines();
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto deleted = good;
    deleted.erase(deleted.begin() + static_cast<std::ptrdiff_t>(i));
    put(deleted);
    expect_bad(i + 1, "deleted");

    auto inserted = good;
    inserted.insert(inserted.begin() + static_cast<std::ptrdiff_t>(i),
                    encode_audit_line(i + 1, now_, {"enrolled", "mallory", ""},
                                      i == 0 ? first_audit_hash() : audit_hash(good[i - 1])));
    put(inserted);
    expect_bad(i + 2, "inserted");  // itself it is well made; what follows does not fit

    if (i > 0) {
      auto moved = good;
      std::swap(moved[i - 1], moved[i]);
      put(moved);
      expect_bad(i, "moved");
    }

    // With the right number and a hash of its own, as a forger would write it.
    auto changed = good;
    const auto line = parse_audit_line(good[i]).value();
    changed[i] = encode_audit_line(i + 1, now_, {"enrolled", "mallory", ""}, line.previous);
    put(changed);
    expect_bad(i + 1 < good.size() ? i + 2 : i + 1, "changed");

    put({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(i)});
    expect_bad(i + 1, "truncated");
  }
  std::filesystem::remove(path_);
  expect_bad(1, "removed");
}

TEST_F(Audit, FindsAForgedChainByItsHead) {
  write(4);
  std::vector<std::string> forged;
  Hash256 last = first_audit_hash();
  for (std::uint64_t n = 1; n <= 4; ++n) {
    forged.push_back(encode_audit_line(n, now_, {"enrolled", "mallory", ""}, last));
    last = audit_hash(forged.back());
  }
  put(forged);
  expect_bad(4, "a chain of somebody else's");
  const auto other = NodeKey::generate();
  const std::string head = sign_audit_head({4, last}, other);
  ASSERT_TRUE(write_file(audit_head_path(path_), as_bytes(head)).ok());
  EXPECT_EQ(verify().error().code, Code::kRefused);
}

TEST_F(Audit, FindsALogThatWasPutBackByAnEarlierHead) {
  write(2);
  const auto log_then = read_file(path_).value();
  const auto head_then = read_file(audit_head_path(path_)).value();
  write(2);
  const auto kept = verify().value();
  EXPECT_TRUE(verify_audit_log(path_, key_->identity_key(), kept).ok());
  write(1);
  EXPECT_TRUE(verify_audit_log(path_, key_->identity_key(), kept).ok());
  ASSERT_TRUE(write_file(path_, as_bytes(log_then)).ok());
  ASSERT_TRUE(write_file(audit_head_path(path_), as_bytes(head_then)).ok());
  EXPECT_TRUE(verify().ok());
  EXPECT_EQ(verify_audit_log(path_, key_->identity_key(), kept).error().code, Code::kData);
}

TEST_F(Audit, GoesOnAfterAWriterThatDied) {
  write(2);
  const auto head = read_file(audit_head_path(path_)).value();
  write(2);
  // As if the second writer had died before the head, in the middle of a third line.
  ASSERT_TRUE(write_file(audit_head_path(path_), as_bytes(head)).ok());
  put({read_file(path_).value(), "5\t2025-"});
  expect_bad(5, "a torn line");
  write(1);
  EXPECT_EQ(verify().value().lines, 6u);
  const auto recovered = parse_audit_line(lines()[4]).value();
  EXPECT_EQ(recovered.event.kind, "recovered");
  EXPECT_EQ(recovered.event.detail.substr(0, 20), "2 lines after line 2");
}

TEST_F(Audit, DoesNotGoOnAfterTampering) {
  write(3);
  auto changed = lines();
  changed[1][30] ^= 1;
  put(changed);
  EXPECT_EQ(AuditLog::open(path_, key_, [] { return 1; }).error().code, Code::kData);
  put({lines()[0]});
  EXPECT_EQ(AuditLog::open(path_, key_, [] { return 1; }).error().code, Code::kData);
  std::filesystem::remove(audit_head_path(path_));
  EXPECT_EQ(AuditLog::open(path_, key_, [] { return 1; }).error().code, Code::kData);
}

TEST_F(Audit, HasSeveralWriters) {
  {
    const auto one = open();
    const auto two = open();
    std::thread other([&two] {
      for (int i = 0; i < 50; ++i) two->append("renewed", "b", std::to_string(i));
    });
    for (int i = 0; i < 50; ++i) {
      one->append("renewed", "a", std::to_string(i));
      if (i % 10 == 0) one->flush();
    }
    other.join();
  }
  EXPECT_EQ(verify().value().lines, 100u);
}

TEST_F(Audit, CannotBeForgedFromInside) {
  {
    const auto log = open();
    log->append("enrolled", "x\n2\tfake\x1b[2J\\", "\xff\t" + std::string(5000, '\n'));
  }
  EXPECT_EQ(verify().value().lines, 1u);
  const std::string line = lines().at(0);
  EXPECT_LE(line.size(), std::size_t{kMaxAuditLine});
  EXPECT_TRUE(std::all_of(line.begin(), line.end() - 1,
                          [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); }));
  const auto event = parse_audit_line(line)->event;
  EXPECT_EQ(event.subject, "x\\x0a2\\x09fake\\x1b[2J\\x5c");
  EXPECT_TRUE(event.detail.ends_with("\\+"));
}

TEST(AuditThrottle, LetsABurstOfEachKindThroughAndCountsTheRest) {
  Throttle throttle;
  std::uint64_t now = 1000, admitted = 0;
  for (int i = 0; i < 1000; ++i) admitted += throttle.admit("handshake-refused", now).has_value();
  EXPECT_EQ(admitted, Throttle::kBurst);
  EXPECT_EQ(throttle.admit("enrolment-refused", now), 0u);  // not held back by the other kind
  now += Throttle::kSecondsEach;
  EXPECT_EQ(throttle.admit("handshake-refused", now), 1000 - Throttle::kBurst);
  EXPECT_EQ(throttle.admit("handshake-refused", now), std::nullopt);
  EXPECT_EQ(throttle.take_left_out(),
            (std::map<std::string, std::uint64_t>{{"handshake-refused", 1}}));
  EXPECT_TRUE(throttle.take_left_out().empty());
}

TEST(AuditLine, EscapesToTheLimitAndNotBeyond) {
  struct Row {
    std::string text;
    std::size_t limit;
    std::string escaped;
  };
  const Row rows[] = {{"abcd", 4, "abcd"}, {"abcde", 4, "ab\\+"},  {"a\n", 5, "a\\x0a"},
                      {"a\nb", 5, "a\\+"}, {"a\nb", 6, "a\\x0ab"}, {"", 2, ""},
                      {"\n\n", 4, "\\+"},  {"\\", 4, "\\x5c"}};
  for (const Row& row : rows) {
    EXPECT_EQ(escape(row.text, row.limit), row.escaped) << row.text;
    EXPECT_LE(escape(row.text, row.limit).size(), row.limit);
  }
}

TEST(AuditLine, TakesNothingButWhatIsWritten) {
  const std::string good = encode_audit_line(7, 0, {"kind", "who", "what\n"}, first_audit_hash());
  ASSERT_TRUE(parse_audit_line(good).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_audit_line(good.substr(0, size)).ok());
  }
  for (const std::string& bad :
       {"0" + good, "+" + good, "\t" + good, good + "\n", std::string(2000, 'x') + "\n",
        good.substr(0, good.size() - 1) + "\t\n"}) {
    EXPECT_FALSE(parse_audit_line(bad).ok()) << bad;
  }
  std::string raw = good;
  raw.replace(raw.find("\\x0a"), 4, "\\x41");  // an escape of what needs none
  EXPECT_FALSE(parse_audit_line(raw).ok());
}

}  // namespace
}  // namespace reef::security
