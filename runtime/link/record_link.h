#pragma once
// What the channel needs of a sealed link beyond frames: the header that each record carries.

#include <cstdint>
#include <functional>
#include <span>

#include "runtime/link/link.h"

namespace reef::link {

/// The part of a record's header that belongs to whoever sends records.
struct RecordHeader {
  std::uint8_t flags = 0;
  std::uint64_t message = 0;
  std::uint64_t epoch = 0;
  bool operator==(const RecordHeader&) const = default;
};

/// `body` is valid during the call only.
using RecordHandler = std::function<void(const RecordHeader& header, BytesView body)>;

/// A Link whose frames have a header. Thread, order, memory and failure as in Link.
class RecordLink : public Link {
 public:
  /// Instead of start().
  virtual void start_records(RecordHandler on_record, ClosedHandler on_closed) = 0;
  /// Sends the concatenation of `pieces` (1..max_frame() bytes together) as one record. The pieces
  /// are read before it returns. Thread: executor() only.
  virtual void send_record(const RecordHeader& header, std::span<const BytesView> pieces,
                           Deadline deadline, Done done) = 0;
  /// Bytes on the wire beyond the body of each record: headers, tag, length.
  virtual std::size_t record_overhead() const = 0;
};

}  // namespace reef::link
