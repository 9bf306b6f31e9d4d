#include <otlpkit/http/src.hpp>
