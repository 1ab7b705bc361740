//! One entry for each Arrow type: values at its edges, and what happens to them in every format.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Int32Builder, ListBuilder, MapBuilder, StringBuilder,
};
use arrow_array::types::{Int8Type, Int16Type, Int32Type, UInt64Type};
use arrow_array::*;
use arrow_buffer::{
    IntervalDayTime, IntervalMonthDayNano, NullBuffer, OffsetBuffer, ScalarBuffer, i256,
};
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};
use half::f16;

/// What happens to a column of one type. It has three rows, the last of which is NULL unless the
/// texts say something else.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) array: ArrayRef,
    /// The cells of CSV, and the values of NDJSON.
    pub(crate) texts: [(String, String); 3],
    pub(crate) arrow: Typed,
    pub(crate) parquet: Typed,
}

/// What happens to a column in an output of typed columns.
pub(crate) enum Typed {
    Kept,
    /// The same values in another type, and how the page calls it.
    As(&'static str, ArrayRef),
    /// The run is refused, because there is no type.
    Refused,
}

impl Case {
    fn of(name: &'static str, array: impl Array + 'static, texts: [(String, String); 3]) -> Self {
        assert_eq!(array.len(), 3, "{name}");
        Self {
            name,
            array: Arc::new(array),
            texts,
            arrow: Typed::Kept,
            parquet: Typed::Kept,
        }
    }

    /// The texts as they are: numbers, and what is nested.
    fn raw(name: &'static str, array: impl Array + 'static, texts: [&str; 2]) -> Self {
        let [first, second] = texts.map(|text| (text.to_owned(), text.to_owned()));
        Self::of(name, array, [first, second, null()])
    }

    /// The texts in quotes where they are JSON.
    fn text(name: &'static str, array: impl Array + 'static, texts: [&str; 2]) -> Self {
        let quoted = |text: &str| (text.to_owned(), serde_json::to_string(text).unwrap());
        let [first, second] = texts.map(quoted);
        Self::of(name, array, [first, second, null()])
    }

    /// Nothing stays of how the values were encoded.
    fn plain(mut self, note: &'static str, array: impl Array + 'static) -> Self {
        let array: ArrayRef = Arc::new(array);
        self.parquet = Typed::As(note, Arc::clone(&array));
        self.arrow = Typed::As(note, array);
        self
    }

    /// Parquet has another type for the same values.
    fn in_parquet(mut self, note: &'static str, array: impl Array + 'static) -> Self {
        self.parquet = Typed::As(note, Arc::new(array));
        self
    }

    fn no_parquet(mut self) -> Self {
        self.parquet = Typed::Refused;
        self
    }
}

fn null() -> (String, String) {
    (String::new(), "null".to_owned())
}

fn some<T, const N: usize>(values: [T; N]) -> Vec<Option<T>> {
    values.into_iter().map(Some).chain([None]).collect()
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

/// The offsets of `[two elements]`, `[]` and NULL.
fn two_none_null() -> (OffsetBuffer<i32>, NullBuffer) {
    (
        OffsetBuffer::new(vec![0, 2, 2, 2].into()),
        NullBuffer::from(vec![true, true, false]),
    )
}

fn list_of(values: impl Array + 'static) -> ListArray {
    let (offsets, nulls) = two_none_null();
    let field = item(values.data_type().clone());
    ListArray::new(field, offsets, Arc::new(values), Some(nulls))
}

fn struct_of(columns: Vec<(&str, ArrayRef)>) -> StructArray {
    let fields: Fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let nulls = NullBuffer::from(vec![true, true, false]);
    StructArray::new(fields, arrays, Some(nulls))
}

pub(crate) fn all() -> Vec<Case> {
    [simple(), times(), nested(), encoded()]
        .into_iter()
        .flatten()
        .collect()
}

fn simple() -> Vec<Case> {
    let binary = [&b"\x00\xff"[..], b""];
    let fixed = |values: [&[u8]; 2]| {
        let mut builder = FixedSizeBinaryBuilder::new(2);
        for value in values {
            builder.append_value(value).unwrap();
        }
        builder.append_null();
        builder.finish()
    };
    let mut booleans = BooleanBuilder::new();
    booleans.append_option(Some(true));
    booleans.append_option(Some(false));
    booleans.append_null();
    let texts = some([
        "ümläut ✓, \"quoted\"",
        "longer than twelve bytes\nin two lines",
    ]);
    let halves = [f16::from_f32(65504.0), f16::from_f32(-0.5)];
    vec![
        Case::of("Null", NullArray::new(3), [null(), null(), null()]),
        Case::raw("Boolean", booleans.finish(), ["true", "false"]),
        Case::raw(
            "Int8",
            Int8Array::from(some([i8::MIN, 127])),
            ["-128", "127"],
        ),
        Case::raw(
            "Int16",
            Int16Array::from(some([i16::MIN, i16::MAX])),
            ["-32768", "32767"],
        ),
        Case::raw(
            "Int32",
            Int32Array::from(some([i32::MIN, i32::MAX])),
            ["-2147483648", "2147483647"],
        ),
        Case::raw(
            "Int64",
            Int64Array::from(some([i64::MIN, i64::MAX])),
            ["-9223372036854775808", "9223372036854775807"],
        ),
        Case::raw("UInt8", UInt8Array::from(some([0, u8::MAX])), ["0", "255"]),
        Case::raw(
            "UInt16",
            UInt16Array::from(some([0, u16::MAX])),
            ["0", "65535"],
        ),
        Case::raw(
            "UInt32",
            UInt32Array::from(some([0, u32::MAX])),
            ["0", "4294967295"],
        ),
        Case::raw(
            "UInt64",
            UInt64Array::from(some([1 << 63, u64::MAX])),
            ["9223372036854775808", "18446744073709551615"],
        ),
        Case::raw(
            "Float16",
            Float16Array::from(some(halves)),
            ["65504", "-0.5"],
        ),
        Case::raw(
            "Float32",
            Float32Array::from(some([0.1, 1e-45])),
            ["0.1", "0.000000000000000000000000000000000000000000001"],
        ),
        Case::raw(
            "Float64",
            Float64Array::from(some([0.1, -0.0])),
            ["0.1", "-0"],
        ),
        Case::of(
            "Float64, not finite",
            Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            [("NaN", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")]
                .map(|(cell, json)| (cell.to_owned(), format!("\"{json}\""))),
        ),
        Case::raw(
            "Decimal32(9, 2)",
            Decimal32Array::from(some([-5, 999_999_999]))
                .with_precision_and_scale(9, 2)
                .unwrap(),
            ["-0.05", "9999999.99"],
        ),
        Case::raw(
            "Decimal64(18, 4)",
            Decimal64Array::from(some([10_000, 999_999_999_999_999_999]))
                .with_precision_and_scale(18, 4)
                .unwrap(),
            ["1.0000", "99999999999999.9999"],
        ),
        Case::raw(
            "Decimal128(38, 10)",
            Decimal128Array::from(some([1, -(10_i128.pow(38) - 1)]))
                .with_precision_and_scale(38, 10)
                .unwrap(),
            ["0.0000000001", "-9999999999999999999999999999.9999999999"],
        ),
        Case::raw(
            "Decimal256(76, 0)",
            Decimal256Array::from(some([
                i256::from_string(&"9".repeat(76)).unwrap(),
                i256::from_i128(0),
            ]))
            .with_precision_and_scale(76, 0)
            .unwrap(),
            [&"9".repeat(76), "0"],
        ),
        Case::raw(
            "Decimal128(5, -2)",
            Decimal128Array::from(some([12_345, 0]))
                .with_precision_and_scale(5, -2)
                .unwrap(),
            ["1234500", "0"],
        )
        .no_parquet(),
        Case::text(
            "Utf8",
            StringArray::from(texts.clone()),
            [texts[0].unwrap(), texts[1].unwrap()],
        ),
        Case::text(
            "LargeUtf8",
            LargeStringArray::from(texts.clone()),
            [texts[0].unwrap(), texts[1].unwrap()],
        ),
        Case::text(
            "Utf8View",
            StringViewArray::from(texts.clone()),
            [texts[0].unwrap(), texts[1].unwrap()],
        ),
        Case::text("Binary", BinaryArray::from(some(binary)), ["AP8=", ""]),
        Case::text(
            "LargeBinary",
            LargeBinaryArray::from(some(binary)),
            ["AP8=", ""],
        ),
        Case::text(
            "BinaryView",
            BinaryViewArray::from(some(binary)),
            ["AP8=", ""],
        ),
        Case::text(
            "FixedSizeBinary(2)",
            fixed([b"\x00\xff", b"ab"]),
            ["AP8=", "YWI="],
        ),
    ]
}

fn times() -> Vec<Case> {
    // 1600-02-29T23:59:59, and the last second of the year 9999.
    const OLD: i64 = -11_670_912_001;
    const LAST: i64 = 253_402_300_799;
    let interval = |months, days, nanos| IntervalMonthDayNano::new(months, days, nanos);
    vec![
        Case::text(
            "Date32",
            Date32Array::from(some([-719_162, 2_932_896])),
            ["0001-01-01", "9999-12-31"],
        ),
        Case::text(
            "Date64",
            Date64Array::from(some([43_200_000, -1])),
            ["1970-01-01T12:00:00", "1969-12-31T23:59:59.999"],
        )
        .in_parquet(
            "Timestamp(ms)",
            TimestampMillisecondArray::from(some([43_200_000, -1])),
        ),
        Case::text(
            "Time32(s)",
            Time32SecondArray::from(some([0, 86_399])),
            ["00:00:00", "23:59:59"],
        )
        .in_parquet(
            "Time32(ms)",
            Time32MillisecondArray::from(some([0, 86_399_000])),
        ),
        Case::text(
            "Time32(ms)",
            Time32MillisecondArray::from(some([1, 86_399_999])),
            ["00:00:00.001", "23:59:59.999"],
        ),
        Case::text(
            "Time64(µs)",
            Time64MicrosecondArray::from(some([1, 86_399_999_999])),
            ["00:00:00.000001", "23:59:59.999999"],
        ),
        Case::text(
            "Time64(ns)",
            Time64NanosecondArray::from(some([1, 86_399_999_999_999])),
            ["00:00:00.000000001", "23:59:59.999999999"],
        ),
        Case::text(
            "Timestamp(s)",
            TimestampSecondArray::from(some([OLD, LAST])),
            ["1600-02-29T23:59:59", "9999-12-31T23:59:59"],
        )
        .in_parquet(
            "Timestamp(ms)",
            TimestampMillisecondArray::from(some([OLD * 1000, LAST * 1000])),
        ),
        Case::text(
            "Timestamp(ms)",
            TimestampMillisecondArray::from(some([OLD * 1000 + 1, LAST * 1000])),
            ["1600-02-29T23:59:59.001", "9999-12-31T23:59:59"],
        ),
        Case::text(
            "Timestamp(µs)",
            TimestampMicrosecondArray::from(some([OLD * 1_000_000 + 1, LAST * 1_000_000])),
            ["1600-02-29T23:59:59.000001", "9999-12-31T23:59:59"],
        ),
        Case::text(
            "Timestamp(ns)",
            TimestampNanosecondArray::from(some([i64::MIN, i64::MAX])),
            [
                "1677-09-21T00:12:43.145224192",
                "2262-04-11T23:47:16.854775807",
            ],
        ),
        Case::text(
            "Timestamp(s, UTC)",
            TimestampSecondArray::from(some([OLD, LAST])).with_timezone("UTC"),
            ["1600-02-29T23:59:59Z", "9999-12-31T23:59:59Z"],
        )
        .in_parquet(
            "Timestamp(ms, UTC)",
            TimestampMillisecondArray::from(some([OLD * 1000, LAST * 1000])).with_timezone("UTC"),
        ),
        Case::text(
            "Timestamp(ms, +05:30)",
            TimestampMillisecondArray::from(some([-1, 1])).with_timezone("+05:30"),
            [
                "1970-01-01T05:29:59.999+05:30",
                "1970-01-01T05:30:00.001+05:30",
            ],
        ),
        // Local time was off by 53 minutes and 28 seconds in Berlin before 1893.
        Case::text(
            "Timestamp(µs, Europe/Berlin)",
            TimestampMicrosecondArray::from(some([1_593_604_800_000_000, -3_000_000_000_000_000]))
                .with_timezone("Europe/Berlin"),
            ["2020-07-01T14:00:00+02:00", "1874-12-07T18:40:00Z"],
        ),
        Case::text(
            "Timestamp(ns, of an unknown zone)",
            TimestampNanosecondArray::from(some([0, 1])).with_timezone("Mars/Olympus"),
            ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z"],
        ),
        Case::text(
            "Duration(s)",
            DurationSecondArray::from(some([90_061, i64::MIN])),
            ["PT90061S", "-PT9223372036854775808S"],
        ),
        Case::text(
            "Duration(ms)",
            DurationMillisecondArray::from(some([0, i64::MAX])),
            ["P0D", "PT9223372036854775.807S"],
        ),
        Case::text(
            "Duration(µs)",
            DurationMicrosecondArray::from(some([-1, 1_500_000])),
            ["-PT0.000001S", "PT1.5S"],
        ),
        Case::text(
            "Duration(ns)",
            DurationNanosecondArray::from(some([1, i64::MIN])),
            ["PT0.000000001S", "-PT9223372036.854775808S"],
        ),
        Case::text(
            "Interval(YearMonth)",
            IntervalYearMonthArray::from(some([14, -1])),
            ["1 years 2 mons", "-1 years 11 mons"],
        ),
        Case::text(
            "Interval(DayTime)",
            IntervalDayTimeArray::from(some([
                IntervalDayTime::new(3, 4_005),
                IntervalDayTime::new(-1, 0),
            ])),
            ["3 days 4.005 secs", "-1 days"],
        ),
        Case::text(
            "Interval(MonthDayNano)",
            IntervalMonthDayNanoArray::from(some([interval(1, 2, 3), interval(0, 0, 0)])),
            ["1 mons 2 days 0.000000003 secs", "0 secs"],
        )
        .no_parquet(),
    ]
}

fn nested() -> Vec<Case> {
    let numbers = || Int64Array::from(vec![Some(i64::MAX), None]);
    let (offsets, nulls) = two_none_null();
    let large = OffsetBuffer::new(vec![0_i64, 2, 2, 2].into());
    let pairs = FixedSizeListArray::new(
        item(DataType::Int32),
        2,
        Arc::new(Int32Array::from(vec![1, 2, 3, 4, 0, 0])),
        Some(nulls.clone()),
    );
    let view = ListViewArray::new(
        item(DataType::Int64),
        vec![0, 2, 0].into(),
        vec![2, 0, 0].into(),
        Arc::new(numbers()),
        Some(nulls.clone()),
    );
    let large_view = LargeListViewArray::new(
        item(DataType::Int64),
        vec![0_i64, 2, 0].into(),
        vec![2_i64, 0, 0].into(),
        Arc::new(numbers()),
        Some(nulls.clone()),
    );
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    lists.values().append_value([Some(1), None]);
    lists.values().append_null();
    lists.append(true);
    lists.values().append_value([]);
    lists.append(true);
    lists.append_null();
    let large_list = LargeListArray::new(
        item(DataType::Int64),
        large,
        Arc::new(numbers()),
        Some(nulls),
    );
    let deep = struct_of(vec![
        (
            "n",
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, None])),
        ),
        (
            "b",
            Arc::new(BinaryArray::from(some([&b"\x00\xff"[..], b""]))),
        ),
        (
            "t",
            Arc::new(TimestampMillisecondArray::from(some([0, -1])).with_timezone("UTC")),
        ),
        (
            "d",
            Arc::new(
                Decimal128Array::from(some([-5, 100]))
                    .with_precision_and_scale(4, 2)
                    .unwrap(),
            ),
        ),
    ]);
    vec![
        Case::raw(
            "List",
            list_of(numbers()),
            ["[9223372036854775807,null]", "[]"],
        ),
        Case::raw(
            "LargeList",
            large_list,
            ["[9223372036854775807,null]", "[]"],
        ),
        Case::raw("FixedSizeList", pairs, ["[1,2]", "[3,4]"]),
        Case::raw("ListView", view, ["[9223372036854775807,null]", "[]"]),
        Case::raw(
            "LargeListView",
            large_view,
            ["[9223372036854775807,null]", "[]"],
        ),
        Case::raw("List of List", lists.finish(), ["[[1,null],null]", "[[]]"]),
        Case::raw(
            "List of Null",
            list_of(NullArray::new(2)),
            ["[null,null]", "[]"],
        ),
        Case::raw(
            "List of Timestamp(µs, UTC)",
            list_of(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC")),
            ["[\"1970-01-01T00:00:00.000001Z\",null]", "[]"],
        ),
        Case::raw(
            "Struct",
            deep,
            [
                "{\"n\":\"NaN\",\"b\":\"AP8=\",\"t\":\"1970-01-01T00:00:00Z\",\"d\":-0.05}",
                "{\"n\":null,\"b\":\"\",\"t\":\"1969-12-31T23:59:59.999Z\",\"d\":1.00}",
            ],
        ),
        Case::raw(
            "Map of Utf8",
            text_map(),
            ["{\"a\":1,\"b \\\"c\\\"\":null}", "{}"],
        ),
        Case::raw(
            "Map of Int32",
            number_map(),
            ["{\"1\":\"x\",\"-2\":null}", "{}"],
        ),
        Case::raw(
            "Map of Timestamp(s)",
            time_map(TimestampSecondArray::from(vec![0, -1]), offsets.clone()),
            [
                "{\"1970-01-01T00:00:00\":1,\"1969-12-31T23:59:59\":2}",
                "{}",
            ],
        )
        .in_parquet(
            "Map of Timestamp(ms)",
            time_map(TimestampMillisecondArray::from(vec![0, -1000]), offsets),
        ),
        Case::of("Union, sparse", sparse_union(), union_texts()).no_parquet(),
        Case::of("Union, dense", dense_union(), union_texts()).no_parquet(),
    ]
}

fn text_map() -> MapArray {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    builder.keys().append_value("a");
    builder.values().append_value(1);
    builder.keys().append_value("b \"c\"");
    builder.values().append_null();
    builder.append(true).unwrap();
    builder.append(true).unwrap();
    builder.append(false).unwrap();
    builder.finish()
}

fn number_map() -> MapArray {
    let mut builder = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    builder.keys().append_value(1);
    builder.values().append_value("x");
    builder.keys().append_value(-2);
    builder.values().append_null();
    builder.append(true).unwrap();
    builder.append(true).unwrap();
    builder.append(false).unwrap();
    builder.finish()
}

fn time_map(keys: impl Array + 'static, offsets: OffsetBuffer<i32>) -> MapArray {
    let keys: ArrayRef = Arc::new(keys);
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let fields = Fields::from(vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", DataType::Int32, true),
    ]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let nulls = NullBuffer::from(vec![true, true, false]);
    MapArray::new(field, offsets, entries, Some(nulls), false)
}

fn union_fields() -> UnionFields {
    let fields = [("n", DataType::Int32), ("s", DataType::Utf8)];
    let fields = fields.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)));
    (0_i8..).zip(fields).collect()
}

fn union_texts() -> [(String, String); 3] {
    [("7", "7"), ("a", "\"a\""), ("", "null")]
        .map(|(cell, json)| (cell.to_owned(), json.to_owned()))
}

fn sparse_union() -> UnionArray {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some("b")]));
    let ids = ScalarBuffer::from(vec![0_i8, 1, 0]);
    UnionArray::try_new(union_fields(), ids, None, vec![numbers, texts]).unwrap()
}

fn dense_union() -> UnionArray {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let ids = ScalarBuffer::from(vec![0_i8, 1, 0]);
    let offsets = ScalarBuffer::from(vec![0, 0, 1]);
    UnionArray::try_new(union_fields(), ids, Some(offsets), vec![numbers, texts]).unwrap()
}

fn encoded() -> Vec<Case> {
    let plain = "values, not encoded";
    let words = || StringArray::from(some(["x", "y"]));
    let dictionary: DictionaryArray<Int8Type> = [Some("x"), Some("y"), None].into_iter().collect();
    let times = DictionaryArray::<UInt64Type>::new(
        vec![Some(1), Some(0), None].into(),
        Arc::new(TimestampMillisecondArray::from(vec![0, 1]).with_timezone("UTC")),
    );
    let bytes = DictionaryArray::<Int16Type>::new(
        vec![Some(0), Some(1), None].into(),
        Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b""])),
    );
    // NULL is among the values here, not among the keys.
    let hidden = DictionaryArray::<Int32Type>::new(
        vec![0, 1, 2].into(),
        Arc::new(StringArray::from(some(["x", "y"]))),
    );
    let lists = DictionaryArray::<Int32Type>::new(
        vec![Some(0), Some(1), None].into(),
        Arc::new(list_of(Int32Array::from(vec![1, 2]))),
    );
    let two: DictionaryArray<Int8Type> = [Some("x"), None].into_iter().collect();
    let runs = || {
        RunArray::<Int32Type>::try_new(
            &Int32Array::from(vec![1, 2, 3]),
            &StringArray::from(some(["x", "y"])),
        )
        .unwrap()
    };
    let two_runs = RunArray::<Int16Type>::try_new(
        &Int16Array::from(vec![1, 2]),
        &Int64Array::from(vec![Some(5), None]),
    )
    .unwrap();
    vec![
        Case::text("Dictionary of Utf8", dictionary.clone(), ["x", "y"]).plain(plain, words()),
        Case::text(
            "Dictionary of Timestamp(ms, UTC)",
            times,
            ["1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00Z"],
        )
        .plain(
            plain,
            TimestampMillisecondArray::from(some([1, 0])).with_timezone("UTC"),
        ),
        Case::text("Dictionary of Binary", bytes, ["AP8=", ""])
            .plain(plain, BinaryArray::from(some([&b"\x00\xff"[..], b""]))),
        Case::text("Dictionary with NULL among its values", hidden, ["x", "y"])
            .plain(plain, words()),
        Case::raw("Dictionary of List", lists, ["[1,2]", "[]"])
            .plain(plain, list_of(Int32Array::from(vec![1, 2]))),
        Case::raw("List of Dictionary", list_of(two), ["[\"x\",null]", "[]"])
            .plain(plain, list_of(StringArray::from(vec![Some("x"), None]))),
        Case::raw(
            "Struct of Dictionary",
            struct_of(vec![("a", Arc::new(dictionary))]),
            ["{\"a\":\"x\"}", "{\"a\":\"y\"}"],
        )
        .plain(plain, struct_of(vec![("a", Arc::new(words()))])),
        Case::text("RunEndEncoded", runs(), ["x", "y"]).plain(plain, words()),
        Case::raw(
            "List of RunEndEncoded",
            list_of(two_runs),
            ["[5,null]", "[]"],
        )
        .plain(plain, list_of(Int64Array::from(vec![Some(5), None]))),
        Case::raw(
            "Struct of RunEndEncoded",
            struct_of(vec![("a", Arc::new(runs()))]),
            ["{\"a\":\"x\"}", "{\"a\":\"y\"}"],
        )
        .plain(plain, struct_of(vec![("a", Arc::new(words()))])),
    ]
}
