"""Values that no list can hold: invented names, numbers, dates, prices."""

from __future__ import annotations

from random import Random

from training.grammar import Grammar, Inventor

ONSETS = [
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "sh",
    "sk",
    "sl",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "y",
    "z",
]
VOWELS = [*("a", "e", "i", "o", "a", "e", "i", "o", "a", "e", "u") * 5]
VOWELS += [*("ai", "ea", "ee", "ie", "oo", "ou") * 4, "á", "é", "è", "í", "ö", "ü", "ø", "ñ"]
CODAS = ["", "", "", "", *["l", "m", "n", "n", "r", "r", "s", "t", "ck", "nd", "rt", "st", "x"]]
PERSON_ENDS = [
    "a",
    "o",
    "e",
    "i",
    "an",
    "en",
    "in",
    "on",
    "us",
    "ov",
    "ski",
    "sen",
    "ez",
    "ini",
    "ert",
    "ald",
    "ia",
    "ard",
    "man",
    "er",
]
PLACE_ENDS = [
    "ton",
    "ville",
    "burg",
    "ford",
    "mouth",
    "stad",
    "holm",
    "grad",
    "ia",
    "ora",
    "ana",
    "wick",
    "dale",
    "field",
    "by",
    "port",
    "haven",
]
MONTHS = "January February March April May June July August September October November December"
SMALL = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "fifteen",
    "twenty",
    "thirty",
]

GIVEN = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂华建国文志玉红春梅海燕晓东小雨思远子轩浩然一诺欣怡梦琪雪峰山林云"
    "天龙凤鸣鹏飞宇航博雅诗涵若曦佳慧俊德仁义礼智信安康乐福寿白甫愈轼清照修羲之冰心迅舍鲁达夫实秋适光润卓文君"
)
FOREIGN = (
    "普希金托尔斯泰契诃夫果戈里莎士比亚歌德雨果巴扎克伦勃朗莫奈梵高毕加索达芬奇米开罗拉斐牛顿伽略哥白尼爱迪生居里安娜卡"
    "列宁娃索菲玛丽汉弗兰克约翰逊威廉亨利查理彼得保乔治杰克汤姆艾伦奥本布鲁诺瓦西姆贝多芬舒伯特肖邦萨格林海涅叶赛努"
)
PLACE_ZH = (
    "青白黑红黄金银石木水火土云龙凤马牛羊鹿鹤松柏柳梅兰竹菊桃李杏东西南北上下大小新古长平安宁清明华阳阴春秋江河湖海山川"
    "泉沙溪林田桥城关门塔寺井岭峰谷洲滩湾溪永昌泰和丰乐康德福兴通顺"
)
DIGITS = "零一二三四五六七八九"


def word(random: Random, syllables: int) -> str:
    """Return a capitalised word that nobody has seen before."""
    parts = [random.choice(ONSETS) if random.random() < 0.85 else ""]
    for index in range(syllables):
        parts.append(random.choice(VOWELS) + random.choice(CODAS))
        if index + 1 < syllables:
            parts.append(random.choice(ONSETS))
    return "".join(parts).capitalize()


def chinese_number(value: int) -> str:
    """Write a number below ten thousand with Chinese characters."""
    text, zero = "", False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // power % 10
        if digit:
            text += ("零" if zero and text else "") + DIGITS[digit] + unit
        zero = digit == 0
    return text.removeprefix("一") if 10 <= value < 20 else text


class English:
    """The invented symbols of the English facts."""

    def __init__(self) -> None:
        self.words = Grammar()

    def _list(self, random: Random, symbol: str) -> str:
        count = random.choice([2, 2, 3, 3, 4])
        items = list(dict.fromkeys(self.words.expand(symbol, random) for _ in range(count)))
        return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]

    def person(self, random: Random) -> str:
        """Name/subject pronoun/object pronoun/possessive."""
        he = random.random() < 0.5
        kind = random.random()
        first = self.words.expand("man" if he else "woman", random)
        if kind < 0.3:
            first = word(random, random.choice([1, 2])) + random.choice(["", *PERSON_ENDS])
        last = self.words.expand("surname", random)
        if random.random() < 0.5:
            last = word(random, random.choice([1, 2])) + random.choice(["", *PERSON_ENDS])
        title = random.choice(["Dr ", "Mr ", "Captain ", "Professor "]) if he else "Mrs "
        shape = random.random()
        if shape < 0.45:
            name = first
        elif shape < 0.9:
            name = f"{first} {last}"
        else:
            name = title + last
        return f"{name}/he/him/his" if he else f"{name}/she/her/her"

    def place(self, random: Random) -> str:
        """A town, real or invented."""
        kind = random.random()
        if kind < 0.45:
            return self.words.expand("town", random)
        if kind < 0.5:
            return self.words.expand("country", random)
        name = word(random, random.choice([1, 1, 2]))
        name += random.choice(["", *PLACE_ENDS]) if len(name) < 8 else ""
        return name if kind < 0.95 else random.choice(["Port ", "San ", "New ", "Old "]) + name

    def land(self, random: Random) -> str:
        """A country, real or invented."""
        if random.random() < 0.45:
            return self.words.expand("country", random)
        return word(random, random.choice([1, 2])) + random.choice(
            ["ia", "land", "istan", "or", "aria", "una"]
        )

    def name(self, random: Random) -> str:
        """A name of anything."""
        extra = random.random()
        name = word(random, random.choice([1, 2, 2, 3]))
        if extra < 0.1:
            return f"{name} {random.randint(2, 99)}"
        return name.upper() if extra < 0.15 and len(name) < 6 else name

    def org(self, random: Random) -> str:
        """A company."""
        base = self.words.expand("surname", random) if random.random() < 0.3 else self.name(random)
        if random.random() < 0.15:
            return f"{base} {word(random, 1)}"
        return f"{base} {self.words.expand('org_word', random)}" if random.random() < 0.7 else base

    def shop(self, random: Random) -> str:
        """Where things are bought."""
        name = word(random, 2)
        return random.choice([f"{name}'s shop", f"{name} Market", "the flea market", f"{name}'s"])

    def title(self, random: Random) -> str:
        """The title of a work."""
        noun = self.words.expand
        pick = random.random()
        if pick < 0.25:
            return f"The {noun('colour', random)} {noun('thing', random)}".title()
        if pick < 0.45:
            return f"The {noun('job', random)} of {self.place(random)}".title()
        if pick < 0.6:
            return f"A {noun('spot', random)} in {noun('month', random)}".title()
        if pick < 0.75:
            return f"{word(random, 2)} and the {noun('animal', random).title()}"
        return word(random, 2) if pick < 0.85 else f"Letters from {self.place(random)}"

    def year(self, random: Random) -> str:
        """A year."""
        return str(
            random.randint(1400, 2030) if random.random() < 0.8 else random.randint(300, 1400)
        )

    def date(self, random: Random) -> str:
        """A day of a month, with or without its year."""
        month, day = random.choice(MONTHS.split()), random.randint(1, 28)
        text = random.choice([f"{month} {day}", f"{day} {month}"])
        if random.random() < 0.5:
            text += (", " if text[0].isalpha() else " ") + self.year(random)
        return text

    def number(self, random: Random) -> str:
        """A count."""
        pick = random.random()
        if pick < 0.25:
            return random.choice(SMALL)
        if pick < 0.85:
            return str(random.randint(2, 10 ** random.randint(1, 4)))
        text = f"{random.randint(1, 99) * 1000:,}"
        return text + "+" if pick > 0.95 else text

    def bignumber(self, random: Random) -> str:
        """A number of inhabitants."""
        if random.random() < 0.3:
            return f"{random.randint(2, 90)} million"
        return random.choice(["{:,}", "{}"]).format(random.randint(11, 9999) * 100)

    def age(self, random: Random) -> str:
        """Years of age."""
        return str(random.randint(3, 99)) if random.random() < 0.7 else random.choice(SMALL)

    def money(self, random: Random) -> str:
        """An amount of money."""
        amount = random.randint(2, 900)
        return random.choice(
            [
                f"${amount}",
                f"£{amount}",
                f"{amount} euros",
                f"{amount} dollars",
                f"€{amount}",
                f"{amount} pounds",
                f"${amount}.50",
                f"{random.choice(SMALL)} dollars",
                f"{random.choice(SMALL)} coins",
            ]
        )

    def clock(self, random: Random) -> str:
        """A time of day."""
        hour, minute = random.randint(1, 12), random.choice([0, 5, 10, 15, 20, 30, 40, 45, 50])
        exact = f"{hour}:{minute:02d}"
        return random.choice(
            [
                f"{hour} o'clock",
                exact,
                exact,
                f"{exact} am",
                f"{hour} pm",
                "noon",
                "midnight",
                f"half past {random.choice(SMALL[:9])}",
                f"{random.choice(SMALL[:9])} o'clock",
            ]
        )

    def length(self, random: Random) -> str:
        """A length with its unit."""
        return f"{self.number(random).rstrip('+')} {self.words.expand('unit', random)}"

    def duration(self, random: Random) -> str:
        """A span of time."""
        unit = random.choice(["days", "weeks", "months", "years", "hours", "minutes"])
        count = random.choice([*SMALL[:10], str(random.randint(2, 60))])
        return f"{count} {unit}" if random.random() < 0.9 else "a year and a half"

    def score(self, random: Random) -> str:
        """The result of a match."""
        return (
            f"{random.randint(1, 9)}-{random.randint(0, 5)}"
            if random.random() < 0.7
            else (f"{random.randint(2, 9)} to {random.randint(0, 5)}")
        )

    def degrees(self, random: Random) -> str:
        """A temperature."""
        return f"{random.randint(-20, 40)} degrees"

    def speed(self, random: Random) -> str:
        """A speed."""
        return f"{random.randint(10, 400)} " + random.choice(
            ["km/h", "miles an hour", "kilometres per hour"]
        )

    def weight(self, random: Random) -> str:
        """A weight."""
        return f"{random.randint(2, 900)} " + random.choice(
            ["kilograms", "grams", "pounds", "tons", "kg"]
        )

    def phone(self, random: Random) -> str:
        """A telephone or room number."""
        return str(random.randint(10, 10 ** random.randint(2, 7)))

    def platform(self, random: Random) -> str:
        """A platform's number."""
        return str(random.randint(1, 24))

    def petname(self, random: Random) -> str:
        """What a pet is called."""
        return word(random, 1) + random.choice(["", "y", "o", "a"])

    def river(self, random: Random) -> str:
        """A river."""
        return word(random, random.choice([1, 2]))

    def peak(self, random: Random) -> str:
        """A mountain."""
        return random.choice(["Mount ", "Mount ", ""]) + word(random, 2)

    def tongue(self, random: Random) -> str:
        """A language, real or invented."""
        real = random.random() < 0.6
        return (
            self.words.expand("language", random)
            if real
            else word(random, 1) + random.choice(["ish", "ese", "ian"])
        )

    def coin(self, random: Random) -> str:
        """A currency."""
        return word(random, 1).lower()

    def team(self, random: Random) -> str:
        """A sports team."""
        team = self.words.expand("team", random)
        return team if random.random() < 0.5 else f"{self.place(random)} {team}"

    def counted(self, random: Random) -> str:
        """What is counted."""
        return self.words.expand("crowd", random)

    def ingredients(self, random: Random) -> str:
        """What a dish is made of."""
        return self._list(random, "ingredient")

    def items(self, random: Random) -> str:
        """What a company makes."""
        return self._list(random, "product")

    def itemwords(self, random: Random) -> str:
        """What a service or library offers."""
        return f"{self.words.expand('quality', random)} {self.words.expand('itemword', random)}"

    def dish(self, random: Random) -> str:
        """A dish."""
        return f"{word(random, 1)} {self.words.expand('dish_word', random)}"

    def verb(self, random: Random) -> str:
        """Past/infinitive of a verb, real or invented."""
        if random.random() < 0.6:
            return self.words.expand("real_verb", random)
        stem = word(random, random.choice([1, 1, 2])).lower()
        return f"{stem.rstrip('e')}ed/{stem}"

    def anynoun(self, random: Random) -> str:
        """A noun, real or invented."""
        pick = random.random()
        if pick < 0.45:
            return self.words.expand("plain_noun", random)
        if pick < 0.65:
            return self.words.expand("thing", random)
        return word(random, random.choice([1, 1, 2])).lower()

    def anything(self, random: Random) -> str:
        """A value of any kind."""
        kinds = [
            self.name,
            self.place,
            self.number,
            self.year,
            self.anynoun,
            self.length,
            self.itemwords,
            self.title,
        ]
        return random.choice(kinds)(random)

    def battle(self, random: Random) -> str:
        """An event of history."""
        kind = random.choice(
            ["Battle of", "Treaty of", "Siege of", "Great Fire of", "Flood of", "Council of"]
        )
        return f"{kind} {self.place(random)}"


class Chinese:
    """The invented symbols of the Chinese facts."""

    def __init__(self) -> None:
        self.words = Grammar()

    def _foreign(self, random: Random, low: int, high: int) -> str:
        return "".join(random.choice(FOREIGN) for _ in range(random.randint(low, high)))

    def _list(self, random: Random, symbol: str) -> str:
        count = random.choice([2, 2, 3, 3])
        items = list(dict.fromkeys(self.words.expand(symbol, random) for _ in range(count)))
        return "、".join(items[:-1]) + "和" + items[-1] if len(items) > 1 else items[0]

    def person(self, random: Random) -> str:
        """Name/subject pronoun/object pronoun/possessive."""
        he = random.choice("他她")
        pick = random.random()
        if pick < 0.6:
            name = self.words.expand("surname", random)
            name += "".join(random.choice(GIVEN) for _ in range(random.choice([1, 2, 2])))
        elif pick < 0.66:
            name = random.choice("小老阿") + random.choice(GIVEN)
        elif pick < 0.9:
            name = self._foreign(random, 2, 4)
        else:
            name = self._foreign(random, 1, 4) + "·" + self._foreign(random, 2, 4)
        return f"{name}/{he}/{he}/{he}的"

    def place(self, random: Random) -> str:
        """A town, real or invented."""
        pick = random.random()
        if pick < 0.5:
            return self.words.expand("town", random)
        if pick < 0.55:
            return self.words.expand("country", random)
        if pick < 0.85:
            return (
                random.choice(PLACE_ZH)
                + random.choice(PLACE_ZH)
                + random.choice(["市", "县", "镇", "村", "", "州"])
            )
        return self._foreign(random, 2, 4)

    def land(self, random: Random) -> str:
        """A country, real or invented."""
        if random.random() < 0.5:
            return self.words.expand("country", random)
        return self._foreign(random, 2, 3) + random.choice(["国", "", "王国"])

    def name(self, random: Random) -> str:
        """A name of anything."""
        letters = PLACE_ZH if random.random() < 0.6 else FOREIGN
        return "".join(random.choice(letters) for _ in range(random.randint(2, 4)))

    def org(self, random: Random) -> str:
        """A company or an institution."""
        pick = random.random()
        base = self.words.expand("town", random) if pick < 0.3 else self.name(random)[:3]
        return base + self.words.expand("org_word", random)

    def shop(self, random: Random) -> str:
        """Where things are bought."""
        return self.name(random)[:2] + random.choice(
            ["商店", "超市", "百货", "市场", "书店", "商场"]
        )

    def title(self, random: Random) -> str:
        """The title of a work."""
        if random.random() < 0.75:
            return self.words.expand("title_words", random)
        return self.name(random) if random.random() < 0.5 else self._foreign(random, 2, 6)

    def year(self, random: Random) -> str:
        """A year."""
        year = random.randint(1000, 2030)
        if random.random() < 0.1:
            return "".join(DIGITS[int(digit)] for digit in str(year)) + "年"
        return f"公元前{year % 900 + 1}年" if random.random() < 0.05 else f"{year}年"

    def date(self, random: Random) -> str:
        """A day of a month, with or without its year."""
        day = f"{random.randint(1, 12)}月{random.randint(1, 28)}日"
        return f"{random.randint(1800, 2030)}年{day}" if random.random() < 0.5 else day

    def number(self, random: Random) -> str:
        """A count."""
        if random.random() < 0.35:
            return chinese_number(random.randint(3, 10 ** random.randint(1, 4) - 1))
        return str(random.randint(2, 10 ** random.randint(1, 4)))

    def bignumber(self, random: Random) -> str:
        """A number of inhabitants."""
        return random.choice(
            [
                f"{random.randint(2, 990)}万",
                str(random.randint(900, 900000)),
                f"{random.randint(1, 90) / 10}亿",
            ]
        )

    def age(self, random: Random) -> str:
        """Years of age."""
        age = random.randint(3, 99)
        return f"{age}岁" if random.random() < 0.6 else f"{chinese_number(age)}岁"

    def money(self, random: Random) -> str:
        """An amount of money."""
        amount = random.randint(2, 9000)
        return random.choice(
            [
                f"{amount}元",
                f"{amount}块钱",
                f"{amount}元钱",
                f"{chinese_number(amount)}元",
                f"{amount}美元",
                f"{amount}欧元",
            ]
        )

    def clock(self, random: Random) -> str:
        """A time of day."""
        hour = random.randint(1, 12)
        part = random.choice(["上午", "下午", "早上", "晚上", "", ""])
        return part + random.choice(
            [
                f"{hour}点",
                f"{hour}点半",
                f"{hour}点{random.randint(5, 55)}分",
                f"{chinese_number(hour)}点",
                f"{chinese_number(hour)}点半",
                f"{hour}:{random.randint(10, 59)}",
            ]
        )

    def length(self, random: Random) -> str:
        """A length with its unit."""
        return self.number(random) + self.words.expand("unit", random)

    def duration(self, random: Random) -> str:
        """A span of time."""
        count = random.choice(
            [chinese_number(random.randint(3, 40)), str(random.randint(2, 60)), "两", "半"]
        )
        return count + random.choice(
            ["天", "年", "小时", "分钟"]
            if count == "半"
            else ["天", "年", "个月", "个小时", "个星期", "分钟"]
        )

    def degrees(self, random: Random) -> str:
        """A temperature."""
        below = random.choice(["", "", "零下"])
        return random.choice(
            [f"{below}{random.randint(1, 40)}度", f"{random.randint(-20, 40)}摄氏度"]
        )

    def speed(self, random: Random) -> str:
        """A speed."""
        return random.choice(["每小时{}公里", "{}公里每小时", "每秒{}米"]).format(
            random.randint(5, 900)
        )

    def weight(self, random: Random) -> str:
        """A weight."""
        return self.number(random) + random.choice(["公斤", "克", "斤", "吨", "千克"])

    def phone(self, random: Random) -> str:
        """A telephone or room number."""
        return str(random.randint(10, 10 ** random.randint(2, 9)))

    def platform(self, random: Random) -> str:
        """A platform's number."""
        return str(random.randint(1, 24))

    def petname(self, random: Random) -> str:
        """What a pet is called."""
        letters = "小大花黑白黄豆毛球虎点点米咪乐旺财福雪灰豆包糖"
        return random.choice(letters) + random.choice(letters)

    def river(self, random: Random) -> str:
        """A river."""
        return self.name(random)[:3] + random.choice("河江溪")

    def peak(self, random: Random) -> str:
        """A mountain."""
        return self.name(random)[:3] + random.choice("山峰岭")

    def tongue(self, random: Random) -> str:
        """A language, real or invented."""
        real = random.random() < 0.7
        return self.words.expand("language", random) if real else self._foreign(random, 1, 2) + "语"

    def coin(self, random: Random) -> str:
        """A currency."""
        return self._foreign(random, 1, 2) + random.choice(["币", "元", ""])

    def ingredients(self, random: Random) -> str:
        """What a dish is made of."""
        return self._list(random, "ingredient")

    def items(self, random: Random) -> str:
        """What a company makes."""
        return self._list(random, "product")

    def anynoun(self, random: Random) -> str:
        """A noun."""
        return self.words.expand(random.choice(["plain_noun", "plain_noun", "thing"]), random)

    def anything(self, random: Random) -> str:
        """A value of any kind."""
        kinds = [
            self.name,
            self.place,
            self.number,
            self.year,
            self.anynoun,
            self.length,
            self.petname,
            self.org,
        ]
        return random.choice(kinds)(random)

    def battle(self, random: Random) -> str:
        """An event of history."""
        return self.name(random)[:3] + random.choice(
            ["之战", "战役", "会议", "起义", "大火", "地震"]
        )


def inventors(maker: English | Chinese) -> dict[str, Inventor]:
    """Return the public methods of a maker as symbols of its grammar."""
    return {
        name: getattr(maker, name)
        for name in dir(maker)
        if not name.startswith("_") and name != "words"
    }
