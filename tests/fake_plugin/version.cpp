// All that differs between the fake plugins.

namespace pjrt::fake {

extern const int kMinor;
const int kMinor = PJRT_FAKE_MINOR;

}  // namespace pjrt::fake
