// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/record_chunk.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

/// How finished records leave the threads that made them.
///
/// Every thread appends to chunks of its own; one reader at a time takes the records out. The producer publishes a
/// chunk's `committed` size with a release store on every record and takes no lock; flushing from another thread
/// therefore needs no help from it. Chunks start small and grow, so that many threads that record little cost little;
/// memory and the number of waiting records are bounded, and what finds no room is dropped and counted.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// What was lost before it reached the reader.
struct record_drops {
  std::uint64_t queue_full = 0;
  std::uint64_t too_large = 0;
};

class record_queue {
 public:
  using wake_function = void (*)() noexcept;

  // Set before recording starts; read by producers on their slow path only.
  platform::atomic<std::size_t> max_bytes{std::size_t{8} << 20};
  platform::atomic<std::int64_t> max_items{2048};  ///< to the granularity of one chunk per thread
  platform::atomic<std::int64_t> wake_items{512};  ///< so many waiting wake the reader
  platform::atomic<wake_function> wake{nullptr};

  /// Room for a record of `size` bytes, or nullptr: it is dropped, and counted. commit() it right after writing.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* reserve(producer& p, std::size_t size) noexcept {
    const std::size_t need = sizeof(record_header) + size;
    if (static_cast<std::size_t>(p.end - p.at) < need) [[unlikely]] {
      if (!roll(p, need)) return nullptr;
    }
    return p.at + sizeof(record_header);
  }

  /// Publishes the record that ends at `end`.
  OTLPKIT_ALWAYS_INLINE void commit(producer& p, wire::byte* end, std::uint16_t scope) noexcept {
    wire::byte* const start = p.at;  // once: for all the compiler knows the bytes below may be this pointer's
    const auto size = static_cast<std::uint64_t>(end - start);
    wire::put_fixed(start + offsetof(record_header, size), static_cast<std::uint32_t>(size - sizeof(record_header)));
    wire::put_fixed(start + offsetof(record_header, scope), scope);
    p.at = end;
    // A chunk that is filled again was last read on the reader's core.
    platform::prefetch_for_write(end, 256);
    platform::prefetch_for_write(end, 256 + 64);
    auto& committed = p.tail->committed;
    committed.store(committed.load(platform::relaxed) + (std::uint64_t{1} << 32 | size), platform::release);
  }

  /// The producing thread ends, or leaves this queue: what it recorded stays for the reader.
  void retire(producer& p) noexcept {
    if (p.log == nullptr) return;
    waiting_.fetch_add(p.count(), platform::relaxed);
    p.log->dead.store(true, platform::release);
    p = {};
  }

  /// Takes out records until `sink(scope, bytes)` says false, or throws: then that record counts as dropped by a full
  /// queue. Every thread gets its turn. Any thread may call; readers exclude each other.
  template <class Sink>
  void drain(Sink&& sink) noexcept {
    drain(sink, part::all);
  }

  /// The same without what is in chunks that are still being filled. A reader that leaves those alone never slows a
  /// thread that records. It may find nothing although waiting() counts some: in a full chunk for which there was no
  /// successor.
  template <class Sink>
  void drain_closed(Sink&& sink) noexcept {
    drain(sink, part::closed);
  }

  /// Marks what is recorded by now. A later mark replaces this one.
  void mark() noexcept {
    platform::lock_guard lock{reader_};
    adopt_newcomers();
    marked_ = 0;
    for (thread_log* log = head_; log != nullptr; log = log->next) {
      chunk* last = log->head;
      while (chunk* const after = last->next.load(platform::acquire)) last = after;
      log->mark_at = static_cast<std::uint32_t>(last->committed.load(platform::acquire));
      const bool nothing = last == log->head && last->consumed == log->mark_at;
      log->mark = nothing ? nullptr : last;
      if (!nothing) ++marked_;
    }
  }

  /// Takes out, as drain() does, what was recorded before the mark and nothing after it: threads may record as fast as
  /// this takes. \return whether some of it is left
  template <class Sink>
  bool drain_marked(Sink&& sink) noexcept {
    return drain(sink, part::marked);
  }

  /// Drops counted so far, by producers that live and that ended.
  [[nodiscard]] record_drops dropped() noexcept {
    platform::lock_guard lock{reader_};
    adopt_newcomers();
    record_drops sum = retired_;
    sum.queue_full += unlisted_full_.load(platform::relaxed);
    sum.too_large += unlisted_large_.load(platform::relaxed);
    for (thread_log* log = head_; log != nullptr; log = log->next) {
      sum.queue_full += log->dropped_full.load(platform::relaxed);
      sum.too_large += log->dropped_large.load(platform::relaxed);
    }
    return sum;
  }

  /// Says whether the reader looks again soon by itself: then it is woken only if much waits. Waking a sleeping thread
  /// takes microseconds of the one that does it. After saying no it is to look at waiting(): who came before was told
  /// not to wake it.
  void reader_looks_again(bool will) noexcept {
    reader_looks_again_.store(will, platform::relaxed);
    if (!will) waiting_.fetch_add(0, platform::acq_rel);
  }

  /// Records in closed chunks that wait for the reader, and those in full ones for which there was no successor. Those
  /// in chunks still being filled are not in it.
  [[nodiscard]] std::int64_t waiting() const noexcept { return waiting_.load(platform::relaxed); }
  /// Records that wait, those in chunks still being filled included. Looks at every thread's.
  [[nodiscard]] std::int64_t unread() noexcept {
    platform::lock_guard lock{reader_};
    adopt_newcomers();
    std::int64_t all = 0;
    for (const thread_log* log = head_; log != nullptr; log = log->next) {
      for (const chunk* c = log->head; c != nullptr; c = c->next.load(platform::acquire)) {
        all += static_cast<std::int64_t>(c->committed.load(platform::acquire) >> 32);
        all -= c->account.was_read();
      }
    }
    return all;
  }
  /// Bytes of chunks in use.
  [[nodiscard]] std::size_t memory() const noexcept { return outstanding_.load(platform::relaxed); }

  void lock_for_fork() noexcept {
    reader_.lock();
    pool_.lock();
  }
  void unlock_after_fork() noexcept {
    pool_.unlock();
    reader_.unlock();
  }
  /// In the child of a fork: the records wait in the parent, which sends them. Their chunks stay allocated here, once.
  void forget_after_fork() noexcept {
    adopt_newcomers();
    if (tail_ != nullptr) {
      tail_->next = forgotten_;
      forgotten_ = head_;
    }
    head_ = tail_ = nullptr;
    marked_ = 0;
    retired_ = {};
    waiting_.store(0, platform::relaxed);
    outstanding_.store(0, platform::relaxed);
    wake_pending_.store(false, platform::relaxed);
    reader_looks_again_.store(false, platform::relaxed);
  }

 private:
  enum class part : std::uint8_t { all, closed, marked };

  static constexpr int classes = 3;  // chunks of 4, 16 and 64 KiB are kept for reuse
  static constexpr std::uint32_t most_pooled = 32;

  [[nodiscard]] static int size_class(std::uint32_t footprint) noexcept {
    return footprint == chunk::smallest       ? 0
           : footprint == 4 * chunk::smallest ? 1
           : footprint == chunk::largest      ? 2
                                              : -1;
  }

  OTLPKIT_COLD bool roll(producer& p, std::size_t need) noexcept {
    const std::int64_t more = p.count();
    const std::int64_t most = max_items.load(platform::relaxed);
    const std::int64_t waiting = waiting_.fetch_add(more, platform::acq_rel) + more;
    const bool full_batch = waiting >= wake_items.load(platform::relaxed) &&
                            (waiting >= most / 2 || !reader_looks_again_.load(platform::relaxed));
    const bool urgent = full_batch || outstanding_.load(platform::relaxed) > max_bytes.load(platform::relaxed) / 2;
    if (p.log == nullptr) p.next_size = chunk::smallest;
    chunk* fresh = waiting < most ? take(need, p.next_size) : nullptr;
    if (fresh != nullptr && p.log == nullptr) {
      p.log = new (std::nothrow) thread_log;
      if (p.log == nullptr) {
        give(fresh);
        fresh = nullptr;
      }
    }
    if (fresh == nullptr) {
      count_drop(p.log, need + sizeof(chunk) > max_bytes.load(platform::relaxed));
      wake_reader();
      return false;
    }
    chunk* const full = p.tail;
    p.tail = fresh;
    p.at = fresh->data();
    p.end = p.at + fresh->capacity;
    if (p.next_size < chunk::largest) p.next_size *= 4;
    if (full == nullptr) {
      p.log->head = fresh;  // before the log is published
      publish(*p.log);
    } else {
      full->next.store(fresh, platform::release);  // after its last `committed`
    }
    if (urgent) wake_reader();  // now that it can see the chunk is closed
    return true;
  }

  /// A thread has a log once it has a chunk: one that never found room leaves nothing behind but its drops.
  void count_drop(thread_log* log, bool too_large) noexcept {
    if (log == nullptr) {
      (too_large ? unlisted_large_ : unlisted_full_).fetch_add(1, platform::relaxed);
      return;
    }
    auto& counter = too_large ? log->dropped_large : log->dropped_full;
    counter.store(counter.load(platform::relaxed) + 1, platform::relaxed);
  }

  void publish(thread_log& log) noexcept {
    thread_log* first = newcomers_.load(platform::relaxed);
    do {
      log.next = first;
    } while (!newcomers_.compare_exchange(first, &log, platform::release));
  }

  void wake_reader() noexcept {
    if (wake_pending_.load(platform::relaxed) || wake_pending_.exchange(true, platform::acq_rel)) return;
    if (const wake_function call = wake.load(platform::acquire)) call();
  }

  void adopt_newcomers() noexcept {
    thread_log* log = newcomers_.exchange(nullptr, platform::acquire);
    while (log != nullptr) {
      thread_log* const next = log->next;
      append(log);
      log = next;
    }
  }

  void append(thread_log* log) noexcept {
    log->next = nullptr;
    (tail_ == nullptr ? head_ : tail_->next) = log;
    tail_ = log;
  }

  template <class Sink>
  bool drain(Sink& sink, part wanted) noexcept {
    platform::lock_guard lock{reader_};
    wake_pending_.store(false, platform::release);
    adopt_newcomers();
    thread_log* const last = tail_;
    bool more = true;
    while (more && head_ != nullptr) {
      thread_log* const log = head_;
      const bool gone = drain_thread(*log, sink, more, wanted);
      if (!more && !gone) break;  // it goes on with this thread next time
      head_ = log->next;
      if (head_ == nullptr) tail_ = nullptr;
      if (gone) {
        delete log;
      } else {
        append(log);
      }
      if (log == last) break;
    }
    return marked_ != 0;
  }

  /// Whether the thread ended and everything of it is taken.
  template <class Sink>
  bool drain_thread(thread_log& log, Sink& sink, bool& more, part wanted) noexcept {
    while (more) {
      const bool dead = log.dead.load(platform::acquire);  // before `committed`: then that is final
      chunk* const c = log.head;
      chunk* const next = c->next.load(platform::acquire);  // likewise
      const auto committed = static_cast<std::uint32_t>(c->committed.load(platform::acquire));
      // Noted down at the end: the producer writes `committed` right beside it, with every record.
      std::uint32_t at = c->consumed;
      const std::uint32_t end = wanted == part::all      ? committed
                                : wanted == part::closed ? (next != nullptr || dead ? committed : at)
                                : c == log.mark          ? log.mark_at
                                : log.mark != nullptr    ? committed
                                                         : at;
      std::uint32_t taken = 0;
      while (more && at < end) {
        record_header header;
        std::memcpy(&header, c->data() + at, sizeof header);
        const char* const bytes = reinterpret_cast<const char*>(c->data()) + at + sizeof header;
        at += static_cast<std::uint32_t>(sizeof header) + header.size;
        ++taken;
        try {
          more = sink(header.scope, std::string_view{bytes, header.size});
        } catch (...) {  // it had no memory for the record, which is lost; what it has so far may give some back
          ++retired_.queue_full;
          more = false;
        }
      }
      if (taken != 0) {
        c->consumed = at;
        waiting_.fetch_add(c->account.read(taken), platform::relaxed);
      }
      if (c == log.mark && c->consumed >= log.mark_at) {
        log.mark = nullptr;
        --marked_;
      }
      if (c->consumed < committed) return false;
      if (next != nullptr) {
        log.head = next;
        give(c);
        continue;
      }
      if (!dead) return false;
      give(c);
      retired_.queue_full += log.dropped_full.load(platform::relaxed);
      retired_.too_large += log.dropped_large.load(platform::relaxed);
      return true;
    }
    return false;
  }

  /// A chunk with room for `need` bytes within the memory budget, or nullptr.
  [[nodiscard]] chunk* take(std::size_t need, std::uint32_t wanted) noexcept {
    const std::size_t budget = max_bytes.load(platform::relaxed);
    if (outstanding_.load(platform::relaxed) > budget / 2) wanted = chunk::smallest;  // many threads share the rest
    std::size_t footprint = wanted;
    if (need + sizeof(chunk) > footprint) footprint = need + sizeof(chunk);
    if (footprint > UINT32_MAX) return nullptr;
    if (outstanding_.fetch_add(footprint, platform::relaxed) + footprint > budget) {
      outstanding_.fetch_sub(footprint, platform::relaxed);
      return nullptr;
    }
    const auto capacity = static_cast<std::uint32_t>(footprint - sizeof(chunk));
    if (const int kind = size_class(static_cast<std::uint32_t>(footprint)); kind >= 0) {
      platform::lock_guard lock{pool_};
      if (chunk* const c = pools_[kind]) {
        pools_[kind] = c->pooled;
        --pooled_[kind];
        return ::new (static_cast<void*>(c)) chunk{capacity};
      }
    }
    void* const memory = std::malloc(footprint);
    if (memory == nullptr) {
      outstanding_.fetch_sub(footprint, platform::relaxed);
      return nullptr;
    }
    return ::new (memory) chunk{capacity};
  }

  void give(chunk* c) noexcept {
    outstanding_.fetch_sub(c->footprint(), platform::relaxed);
    if (const int kind = size_class(static_cast<std::uint32_t>(c->footprint())); kind >= 0) {
      platform::lock_guard lock{pool_};
      if (pooled_[kind] < most_pooled) {
        c->pooled = pools_[kind];
        pools_[kind] = c;
        ++pooled_[kind];
        return;
      }
    }
    std::free(c);
  }

  platform::atomic<std::int64_t> waiting_{0};
  platform::atomic<std::size_t> outstanding_{0};
  platform::atomic<std::uint64_t> unlisted_full_{0};  // drops of threads without a log, as is the next
  platform::atomic<std::uint64_t> unlisted_large_{0};
  platform::atomic<bool> wake_pending_{false};
  platform::atomic<bool> reader_looks_again_{false};
  platform::atomic<thread_log*> newcomers_{nullptr};  // a stack that registering threads push to without a lock

  platform::mutex reader_;  // guards the list, and makes readers take turns
  thread_log* head_ = nullptr;
  thread_log* tail_ = nullptr;
  std::size_t marked_ = 0;  // logs with a mark the reader is not past
  record_drops retired_;
  thread_log* forgotten_ = nullptr;  // of the parent, in a forked child: kept in sight of leak checkers

  platform::mutex pool_;
  chunk* pools_[classes] = {};
  std::uint32_t pooled_[classes] = {};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
