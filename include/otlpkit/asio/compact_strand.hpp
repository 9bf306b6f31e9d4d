// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::detail {

using io_executor = boost::asio::io_context::executor_type;

struct shared_strand {
  boost::asio::strand<io_executor> strand;
  platform::atomic<std::uint32_t> references{1};

  // Out of line: where g++ 12 sees two of these in a row it takes the second for a use after the first one's delete.
  OTLPKIT_NOINLINE void release() noexcept {
    if (references.fetch_sub(1, platform::acq_rel) == 1) delete this;
  }
};

/// A strand of an io_context in two words. Asio's takes three, which leaves no room for a task in the storage of
/// any_io_executor, and each copy with another property would be allocated.
///
/// `Inner` is the io_context's executor with the properties of this copy; the strand itself is shared.
template <class Inner>
class compact_strand {
 public:
  explicit compact_strand(const boost::asio::strand<io_executor>& strand)
      : inner_{strand.get_inner_executor()}, shared_{new shared_strand{strand}} {}
  compact_strand(const compact_strand& other) noexcept : inner_{other.inner_}, shared_{other.shared_} {
    shared_->references.fetch_add(1, platform::relaxed);
  }
  compact_strand& operator=(const compact_strand&) = delete;
  ~compact_strand() { shared_->release(); }

  template <class Property>
  requires boost::asio::can_query<const Inner&, Property>::value auto query(const Property& p) const
      noexcept(boost::asio::is_nothrow_query<const Inner&, Property>::value) ->
      typename boost::asio::query_result<const Inner&, Property>::type {
    return boost::asio::query(inner_, p);
  }
  template <class Property>
  requires boost::asio::can_require<const Inner&, Property>::value auto require(const Property& p) const
      -> compact_strand<std::decay_t<typename boost::asio::require_result<const Inner&, Property>::type>> {
    return {boost::asio::require(inner_, p), shared_};
  }
  template <class Property>
  requires boost::asio::can_prefer<const Inner&, Property>::value auto prefer(const Property& p) const
      -> compact_strand<std::decay_t<typename boost::asio::prefer_result<const Inner&, Property>::type>> {
    return {boost::asio::prefer(inner_, p), shared_};
  }

  template <class F>
  void execute(F&& fn) const {
    constexpr auto never = boost::asio::execution::blocking.never;
    if (boost::asio::query(inner_, boost::asio::execution::blocking) == never) {
      boost::asio::require(shared_->strand, never).execute(std::forward<F>(fn));
    } else {
      shared_->strand.execute(std::forward<F>(fn));
    }
  }

  /// The strand as Asio has it.
  [[nodiscard]] const boost::asio::strand<io_executor>& strand() const noexcept { return shared_->strand; }

  friend bool operator==(const compact_strand& a, const compact_strand& b) noexcept {
    return a.shared_->strand == b.shared_->strand && a.inner_ == b.inner_;
  }
  friend bool operator!=(const compact_strand& a, const compact_strand& b) noexcept { return !(a == b); }

 private:
  template <class>
  friend class compact_strand;

  compact_strand(Inner inner, shared_strand* with) noexcept : inner_{std::move(inner)}, shared_{with} {
    shared_->references.fetch_add(1, platform::relaxed);
  }

  Inner inner_;
  shared_strand* shared_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
