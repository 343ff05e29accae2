#include "pjrt/ext/triton.hpp"

#include <memory>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

Result<TritonKernel> Triton::compile(std::string_view module, const TritonOptions& options) const try {
  abi::PJRT_Triton_Compile_Args args{};
  args.module = module.data();
  args.module_size = module.size();
  args.arch_name = options.arch.data();
  args.arch_name_size = options.arch.size();
  args.num_warps = options.num_warps;
  args.num_ctas = options.num_ctas;
  args.num_stages = options.num_stages;
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Triton_Compile>(state(), args));
  const std::unique_ptr<const char[]> assembly(args.out_asm);  // both came from new[]
  const std::unique_ptr<const char[]> path(args.out_path);
  return TritonKernel{std::string(pjrt::detail::text(assembly.get(), args.out_asm_size)), args.out_smem_bytes,
                      std::string(pjrt::detail::text(path.get(), args.out_path_size))};
}
PJRT_CATCH

}  // namespace pjrt::ext
