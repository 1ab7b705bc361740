package triton.flink;

/** The same provider as {@code triton-rs}, for clusters where another one is called so. */
public class TritonRsModelProviderFactory extends TritonModelProviderFactory {
    @Override
    public String factoryIdentifier() {
        return "triton-rs";
    }
}
