#include <otlpkit/src.hpp>
