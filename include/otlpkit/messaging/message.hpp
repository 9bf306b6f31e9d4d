// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

using message_headers = std::vector<std::pair<std::string, std::string>>;

/// A message: what is sent, and what goes with it. Types of your own do as well, see message_like.
struct message {
  std::string body{};         ///< text or bytes
  message_headers headers{};  ///< trace context is put here, by the names of its standards
  std::string id{};           ///< given by the broker; not looked at when sending
  bool redelivered = false;   ///< received before, by this consumer or another one, and not acknowledged
};

/// What spans and metrics say of a broker.
struct broker_info {
  std::string system{};           ///< messaging.system: `kafka`, `rabbitmq`; others lower case, like `redis`, `nats`
  std::string server_address{};   ///< as configured; empty: not said
  std::uint16_t server_port = 0;  ///< 0: not said
  std::string client_id{};        ///< messaging.client.id; empty: not said
};

/// Where a consumer gets its messages from.
struct source_info {
  broker_info broker{};
  std::string destination{};           ///< topic, queue or stream
  std::string destination_template{};  ///< for spans and metrics where `destination` is of high cardinality
  std::string group{};                 ///< messaging.consumer.group.name; empty: none
};

namespace detail {

template <class M>
concept has_headers = requires(M& m) {
  m.headers;
}
|| requires(M& m) { m.headers(); };
template <class M>
concept has_body = requires(M& m) {
  m.body;
}
|| requires(M& m) { m.body(); };

template <class M>
[[nodiscard]] constexpr auto& headers_of(M& m) {
  if constexpr (requires { m.headers(); }) {
    return m.headers();
  } else {
    return m.headers;
  }
}

template <class M>
[[nodiscard]] constexpr const auto& body_of(const M& m) {
  if constexpr (requires { m.body(); }) {
    return m.body();
  } else {
    return m.body;
  }
}

template <class M>
[[nodiscard]] constexpr std::string_view id_of(const M& m) {
  if constexpr (requires { std::string_view{m.id()}; }) {
    return m.id();
  } else if constexpr (requires { std::string_view{m.id}; }) {
    return m.id;
  } else {
    return {};
  }
}

template <class M>
[[nodiscard]] constexpr std::string_view partition_of(const M& m) {
  if constexpr (requires { std::string_view{m.partition}; }) {
    return m.partition;
  } else {
    return {};
  }
}

template <class M>
[[nodiscard]] constexpr std::string_view conversation_of(const M& m) {
  if constexpr (requires { std::string_view{m.conversation_id}; }) {
    return m.conversation_id;
  } else {
    return {};
  }
}

}  // namespace detail

/// Has `headers`, a carrier (propagation/carrier.hpp), and `body`, each a member or a function that returns a
/// reference. What it has of `id`, `partition` and `conversation_id`, members that are text (`id` may be a function),
/// is said on spans.
template <class M>
concept message_like = detail::has_headers<std::remove_reference_t<M>> && detail::has_body<std::remove_reference_t<M>>;

/// A container of messages: several that are sent or received together.
template <class B>
concept message_batch =
    !message_like<B> && std::ranges::sized_range<B> && message_like<std::ranges::range_reference_t<B>>;

/// Anything with publish(destination, message). With publish_batch(destination, messages) too, it sends several at
/// once. What they return is returned: nothing, the message's id, an awaitable, ...
template <class P, class M>
concept producer_of = requires(std::remove_reference_t<P>& p, std::string_view destination, M m) {
  p.publish(destination, std::move(m));
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
