// SPDX-License-Identifier: MIT
#pragma once

/// OTLPKIT_TEST_SANITIZED: 1 where AddressSanitizer or ThreadSanitizer stands in for the allocator, so that what memory
/// is taken says nothing.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTLPKIT_TEST_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTLPKIT_TEST_SANITIZED 1
#endif
#ifndef OTLPKIT_TEST_SANITIZED
#define OTLPKIT_TEST_SANITIZED 0
#endif
