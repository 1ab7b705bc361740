package triton.flink;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryArrayData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;

/** Writes what goes to Rust; see {@code row_wire.rs} for the form of it. */
final class RowWriter {
    private static final VarHandle SHORT = littleEndian(short[].class);
    private static final VarHandle INT = littleEndian(int[].class);
    private static final VarHandle LONG = littleEndian(long[].class);
    private static final VarHandle FLOAT = littleEndian(float[].class);
    private static final VarHandle DOUBLE = littleEndian(double[].class);

    private byte[] buffer = new byte[256];
    private int length;

    /** What was written; only the first {@link #length} bytes count. */
    byte[] buffer() {
        return buffer;
    }

    int length() {
        return length;
    }

    byte[] toBytes() {
        return Arrays.copyOf(buffer, length);
    }

    void clear() {
        length = 0;
    }

    /** Takes back what was written after the first bytes. */
    void truncate(int length) {
        this.length = length;
    }

    /** Writes a field of a row that is not NULL. */
    @FunctionalInterface
    interface Field {
        void write(RowWriter writer, RowData row);
    }

    /** What writes the fields of rows of the types that they have, as those that Rust reads. */
    static Field[] fields(LogicalType[] given, LogicalType[] types) {
        Field[] fields = new Field[types.length];
        for (int index = 0; index < fields.length; index++) {
            fields[index] = field(given[index], types[index], index);
        }
        return fields;
    }

    private static Field field(LogicalType given, LogicalType type, int index) {
        // Numbers that are not converted take a way without an object for each of them.
        if (given.getTypeRoot() == type.getTypeRoot()) {
            switch (type.getTypeRoot()) {
                case BOOLEAN:
                    return (writer, row) -> writer.writeByte(row.getBoolean(index) ? 1 : 0);
                case TINYINT:
                    return (writer, row) -> writer.writeByte(row.getByte(index));
                case SMALLINT:
                    return (writer, row) -> writer.writeShort(row.getShort(index));
                case INTEGER:
                    return (writer, row) -> writer.writeInt(row.getInt(index));
                case BIGINT:
                    return (writer, row) -> writer.writeLong(row.getLong(index));
                case FLOAT:
                    return (writer, row) -> writer.writeFloat(row.getFloat(index));
                case DOUBLE:
                    return (writer, row) -> writer.writeDouble(row.getDouble(index));
                default:
                    break;
            }
        }
        RowData.FieldGetter getter = RowData.createFieldGetter(given, index);
        return (writer, row) -> writer.write(given, type, getter.getFieldOrNull(row));
    }

    void writeRow(RowData row, Field[] fields) {
        for (int index = 0; index < fields.length; index++) {
            if (row.isNullAt(index)) {
                writeByte(0);
            } else {
                writeByte(1);
                fields[index].write(this, row);
            }
        }
    }

    // Room is made first in each of these, because that may put another array in place.

    void writeByte(int value) {
        int begin = reserve(1);
        buffer[begin] = (byte) value;
    }

    void writeInt(int value) {
        int begin = reserve(4);
        INT.set(buffer, begin, value);
    }

    void writeLong(long value) {
        int begin = reserve(8);
        LONG.set(buffer, begin, value);
    }

    void writeBytes(byte[] bytes) {
        writeInt(bytes.length);
        int begin = reserve(bytes.length);
        System.arraycopy(bytes, 0, buffer, begin, bytes.length);
    }

    void writeText(String text) {
        writeBytes(text.getBytes(StandardCharsets.UTF_8));
    }

    private void writeShort(short value) {
        int begin = reserve(2);
        SHORT.set(buffer, begin, value);
    }

    private void writeFloat(float value) {
        int begin = reserve(4);
        FLOAT.set(buffer, begin, value);
    }

    private void writeDouble(double value) {
        int begin = reserve(8);
        DOUBLE.set(buffer, begin, value);
    }

    private void write(LogicalType given, LogicalType type, Object value) {
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                writeByte((Boolean) value ? 1 : 0);
                break;
            case TINYINT:
                writeByte(((Number) value).byteValue());
                break;
            case SMALLINT:
                writeShort(((Number) value).shortValue());
                break;
            case INTEGER:
                writeInt(((Number) value).intValue());
                break;
            case BIGINT:
                writeLong(((Number) value).longValue());
                break;
            case FLOAT:
                writeFloat(((Number) value).floatValue());
                break;
            case DOUBLE:
                writeDouble(((Number) value).doubleValue());
                break;
            case CHAR:
            case VARCHAR:
                writeBytes(((StringData) value).toBytes());
                break;
            case BINARY:
            case VARBINARY:
                writeBytes((byte[]) value);
                break;
            case ARRAY:
                writeArray(
                        ((ArrayType) given).getElementType(),
                        ((ArrayType) type).getElementType(),
                        (ArrayData) value);
                break;
            default:
                throw new IllegalStateException("planning should have refused " + type);
        }
    }

    private void writeArray(LogicalType given, LogicalType type, ArrayData array) {
        int size = array.size();
        boolean anyNull = anyNull(array);
        writeInt(size);
        writeByte(anyNull ? 1 : 0);
        // Numbers without NULL take a way without an object for each of them.
        boolean isSame = given.getTypeRoot() == type.getTypeRoot() && !isOfObjects(array);
        if (anyNull || !isSame || !writeNumbers(type, array, size)) {
            ArrayData.ElementGetter elements = ArrayData.createElementGetter(given);
            for (int index = 0; index < size; index++) {
                Object value = elements.getElementOrNull(array, index);
                if (anyNull) {
                    writeByte(value == null ? 0 : 1);
                }
                if (value != null) {
                    write(given, type, value);
                }
            }
        }
    }

    /** Such as what ARRAY_DISTINCT makes; it does not give its numbers away as an array of them. */
    private static boolean isOfObjects(ArrayData array) {
        return array instanceof GenericArrayData && !((GenericArrayData) array).isPrimitiveArray();
    }

    private static boolean anyNull(ArrayData array) {
        if (array instanceof GenericArrayData && !isOfObjects(array)) {
            return false;
        }
        if (array instanceof BinaryArrayData) {
            return ((BinaryArrayData) array).anyNull();
        }
        for (int index = 0; index < array.size(); index++) {
            if (array.isNullAt(index)) {
                return true;
            }
        }
        return false;
    }

    private boolean writeNumbers(LogicalType type, ArrayData array, int size) {
        switch (type.getTypeRoot()) {
            case SMALLINT:
                room(2, size).asShortBuffer().put(array.toShortArray());
                return true;
            case INTEGER:
                room(4, size).asIntBuffer().put(array.toIntArray());
                return true;
            case BIGINT:
                room(8, size).asLongBuffer().put(array.toLongArray());
                return true;
            case FLOAT:
                room(4, size).asFloatBuffer().put(array.toFloatArray());
                return true;
            case DOUBLE:
                room(8, size).asDoubleBuffer().put(array.toDoubleArray());
                return true;
            default:
                return false;
        }
    }

    /** Where so many numbers are written. */
    private ByteBuffer room(int width, int size) {
        int bytes = Math.multiplyExact(width, size);
        int begin = reserve(bytes);
        return ByteBuffer.wrap(buffer, begin, bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Makes room for so many bytes and returns where they begin. */
    private int reserve(int bytes) {
        int begin = length;
        length = Math.addExact(begin, bytes);
        if (length > buffer.length) {
            // Doubling stops where a Java array ends.
            int doubled = (int) Math.min(2L * length, Integer.MAX_VALUE - 8);
            buffer = Arrays.copyOf(buffer, Math.max(length, doubled));
        }
        return begin;
    }

    private static VarHandle littleEndian(Class<?> array) {
        return MethodHandles.byteArrayViewVarHandle(array, ByteOrder.LITTLE_ENDIAN);
    }
}
