// Rows of decoders' surfaces, which have padding, into slots, which have none: all surfaces that
// wait in one launch, since each copy of its own costs the processor as much as all of them.
//
// Block y is the surface; the blocks x share its rows. Surfaces of a launch may be of any size.

struct Rows {
    unsigned long long source, target;
    unsigned pitch, row_bytes, num_rows, unused;
};

struct Surfaces {
    Rows at[MAX_SURFACES];
};

struct alignas(16) Wide {
    unsigned words[4];
};

template <typename T>
static __device__ void copy_rows_as(const Rows& rows) {
    unsigned num = rows.row_bytes / sizeof(T);
    for (unsigned row = blockIdx.x; row < rows.num_rows; row += gridDim.x) {
        const T* source = (const T*)(rows.source + (unsigned long long)row * rows.pitch);
        T* target = (T*)(rows.target + (unsigned long long)row * rows.row_bytes);
        for (unsigned i = threadIdx.x; i < num; i += blockDim.x) target[i] = source[i];
    }
}

extern "C" __global__ void copy_rows(const Surfaces surfaces) {
    const Rows& rows = surfaces.at[blockIdx.y];
    unsigned long long all = rows.source | rows.target | rows.pitch | rows.row_bytes;
    if (all % sizeof(Wide) == 0)
        copy_rows_as<Wide>(rows);
    else
        copy_rows_as<unsigned char>(rows);
}
